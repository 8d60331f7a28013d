r"""A cut as a value: who lends which box of pixels to whom.

.. math:: \tilde x = M \odot x + (1 - M) \odot x', \quad
          M = 0 \text{ inside the box}, 1 \text{ outside}            (Yun et al. 2019, eq. 1)

Drawn once, as a mixture is: the images take the box, the labels the share of pixels that it left.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal.maths.mixing import Mix
from vicinal.maths.randomness import beta, integers, permutation
from vicinal.maths.share import partners_from

__all__ = ["Cut", "draw_cut"]


@dataclass(frozen=True, kw_only=True)
class Cut(Mix):
    """One draw: each example's partner, the box that it takes from it, and the share that it keeps.

    A mixture with a place: called on labels it mixes them by the share, as any `Mix` does, and
    `paste` is what happens to the images.

    Args:
        partner: Index of the partner, shape (N,), int64.
        weight: Share of its own pixels that the image keeps, shape (N,), in [0, 1].
        box: First row, row after the last, first column, column after the last, shape (N, 4),
            int64; empty where nothing is taken.
        everyone: As in `Mix`.

    Example:
        >>> cut = Cut(
        ...     partner=torch.tensor([1, 0]),
        ...     weight=torch.tensor([0.5, 0.5]),
        ...     box=torch.tensor([[0, 1, 0, 2], [0, 1, 0, 2]]),
        ... )
        >>> cut.paste(torch.tensor([1.0, 2.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2))[0]
        tensor([[[2., 2.],
                 [1., 1.]]])
    """

    box: Tensor

    def paste(self, x: Tensor) -> Tensor:
        """Give every image its box of the partner's pixels, eq. 1.

        Args:
            x: Images, shape (N, C, H, W).

        Returns:
            Images of the same shape and dtype; x is not modified.
        """
        top, bottom, left, right = self.box.view(-1, 4, 1, 1, 1).unbind(dim=1)
        rows = torch.arange(x.shape[2], device=x.device).view(-1, 1)
        columns = torch.arange(x.shape[3], device=x.device)
        inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        return torch.where(inside, self.partners(x), x)


def draw_cut(
    x: Tensor, *, alpha: float, per_sample: bool, rng: torch.Generator | None = None
) -> Cut:
    r"""Draw partners, then the size of a box from Beta(alpha, alpha), then its centre.

    .. math:: r_h = H \sqrt{1 - \lambda}, \quad r_w = W \sqrt{1 - \lambda}            (eq. 2)

    Each side extends half of that, rounded down, before and after its centre. What lies beyond the
    border is lost, so the weight is not lambda but the share of pixels that is really kept.

    Args:
        x: The images, shape (N, C, H, W).
        alpha: Shape of the symmetric Beta, at least 0; at 0 every box is empty.
        per_sample: A box for each image, or one for the batch.
        rng: Where the draws come from; torch's global generator when not given.

    Returns:
        The cut.
    """
    n, _, height, width = x.shape
    boxes = n if per_sample else 1
    partner = permutation(n, x, rng)
    # Nothing waits for the device here: sides and centres stay tensors.
    if alpha == 0:
        lam = torch.ones(boxes, device=x.device)
    else:
        lam = beta(boxes, a=alpha, b=alpha, like=x, rng=rng, common=not per_sample)
    top, bottom = _side(height, lam, rng, common=not per_sample)
    left, right = _side(width, lam, rng, common=not per_sample)
    taken = (bottom - top) * (right - left)
    weight = (height * width - taken).to(lam.dtype) / (height * width)
    box = torch.stack([top, bottom, left, right], dim=1)
    return Cut(
        partner=partner,
        weight=weight.expand(n),
        box=box.expand(n, 4),
        everyone=partners_from(rng, n),
    )


def _side(
    length: int, lam: Tensor, rng: torch.Generator | None, *, common: bool
) -> tuple[Tensor, Tensor]:
    """First index and index after the last of boxes along an axis, clipped at its ends."""
    center = integers(lam.shape[0], high=length, like=lam, rng=rng, common=common)
    half = (length * (1 - lam).sqrt() / 2).floor().long()
    return (center - half).clamp(min=0), (center + half).clamp(max=length)
