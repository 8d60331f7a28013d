r"""Manifold MixUp (Verma et al. 2019): hidden states and labels move together towards a partner.

.. math:: \hat L = \frac1N \sum_i \ell(f_k(\lambda g_k(x_i) + (1-\lambda) g_k(x_j)),\;
          \lambda y_i + (1-\lambda) y_j), \quad \lambda \sim \mathrm{Beta}(\alpha, \alpha),
          \quad k \sim U(\mathcal S)            (eq. 1)

g_k is the model up to layer k, f_k the rest of it, and S the layers to choose from.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal import inputs
from vicinal._checks import at_least_two, labels, number, training_batch, training_logits
from vicinal._typing import Model, Passes
from vicinal.labels import Mixing
from vicinal.maths.losses import cross_entropy, widen
from vicinal.maths.randomness import integers
from vicinal.maths.simplex import as_distribution
from vicinal.objectives.hidden import forward_mixed
from vicinal.objectives.layers import find_layers, names_of_layers

__all__ = ["ManifoldMixUp"]


@dataclass(frozen=True, kw_only=True)
class ManifoldMixUp:
    """Cross-entropy after mixing at one layer, against equally mixed labels. ERM at alpha = 0.

    Args:
        alpha: Shape of the symmetric Beta, finite, at least 0. The paper: 2.
        layers: Where to mix, one place drawn per step: "input" for the images, or names of modules
            as in `model.named_modules()`, whose output is mixed. The front of a name may be left
            out where the rest is clear, so `layer1` also finds `module.layer1`. By default the
            input and the stages: the outermost modules named stage1, stage2, ... or layer1, ....

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> objective = ManifoldMixUp(alpha=2.0, layers=("input", "1"))
        >>> objective(model, torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])).ndim
        0

    Differs from the paper: nothing; the gradient flows into both hidden states, one weight and one
    layer serve the batch. What it leaves open, the layers, is every stage here; the authors mix at
    the input and the first ones. A model inside DistributedDataParallel is looked through. A
    compiled one runs uncompiled where a hidden layer is drawn; leave the objective itself
    uncompiled. The layer is drawn on the CPU, from a child of the generator where that is on an
    accelerator, so nothing waits for the device. Cost: one forward and one backward pass.
    """

    alpha: float = 2.0
    layers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        number("alpha", self.alpha, low=0.0, open_high=True)
        if self.layers is not None:
            object.__setattr__(self, "layers", names_of_layers(self.layers))  # recipes hold lists

    @property
    def passes(self) -> Passes:
        """One of each."""
        return Passes(1, 1)

    def check(self, model: Model) -> None:
        """Look for the layers in a model, before anything is trained.

        Args:
            model: The model.

        Raises:
            InputError: If it has no such layer.
        """
        find_layers(model, self.layers)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean cross-entropy of the batch, mixed at one drawn layer, eq. 1."""
        training_batch(x, y)
        at_least_two(x, who="ManifoldMixUp")
        places = find_layers(model, self.layers)
        mix = inputs.MixUp(alpha=self.alpha).draw(x, rng=rng)
        after = places[_draw_place(len(places), rng)]
        z = widen(training_logits(forward_mixed(model, x, mix, after=after), n=len(x)))
        labels(y, n=len(x), num_classes=z.shape[1], values=y.device.type == "cpu")
        q = Mixing()(as_distribution(y, like=z), z.detach(), mix=mix)
        return cross_entropy(z, q).mean()


def _draw_place(n: int, rng: torch.Generator | None) -> int:
    """Draw an index below n that the host may read without waiting for an accelerator."""
    if rng is not None and rng.device.type != "cpu":
        # Unlike its draws, the state of such a generator lies with the host; each draw changes it.
        state = bytes(rng.get_state().tolist())
        seed = int.from_bytes(hashlib.sha256(state).digest()[:8], "big") >> 1
        rng = torch.Generator().manual_seed(seed)
    return int(integers(1, high=n, like=torch.empty(0), rng=rng, common=True))
