r"""Any input move with any label move: vicinal risk minimisation itself (Chapelle et al. 2001).

.. math:: \hat L = \frac1N \sum_i \ell(f(\tilde x_i), \tilde q_i), \quad
          (\tilde x_i, \tilde q_i) \sim \text{vicinity of } (x_i, y_i)            (ALPS, eq. 3-4)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vicinal._checks import InputError, labels, training_batch, training_logits
from vicinal._typing import Model, Passes
from vicinal.gradients import clean_logits
from vicinal.inputs import InputMove, LookingMove, Neighbour
from vicinal.inputs import Keep as KeepInput
from vicinal.labels import Keep as KeepLabel
from vicinal.labels import LabelMove
from vicinal.maths.losses import cross_entropy, widen
from vicinal.maths.simplex import as_distribution

__all__ = ["Vicinal"]


@dataclass(frozen=True, kw_only=True)
class Vicinal:
    r"""Pay the cross-entropy at a neighbour made by an input move and a label move.

    The label move looks where its `at` says: at the logits of this very forward pass ("neighbour"),
    or at those of one eval-mode forward of the clean batch ("clean"), which an input move that
    looks for its target then shares. A label move that mixes takes the mixture that the input move
    drew.

    Args:
        inputs: The input move.
        labels: The label move.

    Example:
        >>> from vicinal import inputs, labels
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
        >>> noisy = Vicinal(
        ...     inputs=inputs.GaussianNoise(sigma=0.1), labels=labels.LeastLikelyShift(eps=0.3)
        ... )
        >>> noisy(model, torch.rand(2, 1, 2, 2), torch.tensor([0, 2])).ndim
        0

    Cost: the input move's passes, one forward and one backward; one forward more for `at="clean"`,
    unless the input move makes that forward anyway.
    """

    inputs: InputMove = field(default_factory=KeepInput)
    labels: LabelMove = field(default_factory=KeepLabel)

    def __post_init__(self) -> None:
        if not isinstance(self.inputs, InputMove) or isinstance(self.inputs, type):
            raise InputError(
                f"`inputs` must be an input move, e.g. inputs.Keep(); got {self.inputs!r}."
            )
        if not isinstance(self.labels, LabelMove) or isinstance(self.labels, type):
            raise InputError(
                f"`labels` must be a label move, e.g. labels.Keep(); got {self.labels!r}."
            )

    @property
    def passes(self) -> Passes:
        """The input move's, and one of each for the loss; one clean forward serves both moves."""
        clean = self.labels.at == "clean" and not self._inputs_look
        return Passes(self.inputs.passes.forward + clean + 1, self.inputs.passes.backward + 1)

    @property
    def _inputs_look(self) -> bool:
        return isinstance(self.inputs, LookingMove) and self.inputs.looks

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the vicinal risk of the batch.

        Args:
            model: The model.
            x: Images, shape (N, C, H, W), in [0, 1].
            y: Classes (N,) or distributions (N, K).
            rng: Where draws come from; torch's global generator when not given.

        Returns:
            The mean loss, a scalar.
        """
        training_batch(x, y)
        clean = clean_logits(model, x) if self.labels.at == "clean" else None
        neighbour = self._neighbour(model, x, y, z=clean, rng=rng)
        z = widen(training_logits(model(neighbour.x), n=x.shape[0]))
        labels(y, n=x.shape[0], num_classes=z.shape[1], values=y.device.type == "cpu")
        seen = z.detach() if clean is None else widen(clean)
        q = self.labels(as_distribution(y, like=z), seen, mix=neighbour.mix)
        return cross_entropy(z, q).mean()

    def _neighbour(
        self, model: Model, x: Tensor, y: Tensor, *, z: Tensor | None, rng: torch.Generator | None
    ) -> Neighbour:
        if isinstance(self.inputs, LookingMove):
            return self.inputs(model, x, y, rng=rng, z=z)
        return self.inputs(model, x, y, rng=rng)
