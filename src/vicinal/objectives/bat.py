r"""BAT: bilateral adversarial training (Wang and Zhang, ICCV 2019): move image and label.

.. math:: \min_\theta \frac1N \sum_i \ell(f(x'_i), y'_i), \quad
          x' = \Pi(x^0 - \epsilon_x\, \mathrm{sign} \nabla_x \ell(f(x^0), y_{MC})), \quad
          y' \text{ by eq. 14 and 18}            (eq. 10, 4, 24)

One step, from a random start, towards the wrong class that the clean image is most confused with;
the batch holds nothing else. One clean forward in eval mode gives that class and the label. The
rows of its tables are instances, R-MC-LA the default:

    R-MC-LA      BAT()                                                           3+2
    R-MC-LS      BAT(label="smooth")                                             3+2
    R-MC         BAT(label="keep")                                               3+2
    R-FGSM-LS    BAT(label="smooth", target=None)                                2+2
    Madry-LA     BAT(target=None, steps=7, step_size=2/255)                      9+8
    ImageNet     BAT(eps=16/255, steps=2, beta=100.0)                            4+3

Not here: FGSM, LL, MC and R-LL, which are `AdversarialTraining.one_step`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import budget, choice, count, number
from vicinal._typing import BatchNormMode, Model, Passes
from vicinal.inputs import PGD
from vicinal.labels import Bilateral, Keep, LabelMove, Smooth
from vicinal.objectives.vicinal import Vicinal

__all__ = ["BAT"]


@dataclass(frozen=True, kw_only=True)
class BAT:
    r"""Cross-entropy at a one-step targeted neighbour against an adversarial label.

    ERM at eps = 0, beta = inf.

    Args:
        eps: Radius eps_x in pixel units; the paper trains with 8/255, and best with 4/255.
        step_size: Step in pixel units; eps / steps by default, so that the steps reach the ball's
            face.
        steps: How many, at least 1; the paper: one, on ImageNet two.
        target: "most_confusing" (eq. 24), "least_likely" (eq. 23), "random", or None for a step
            away from the label.
        random_start: Begin at a uniform draw from the ball (eq. 3).
        clip_start: Clip that draw to [0, 1] before the gradient is taken; the authors' code does
            not.
        label: "bilateral" (LA), "smooth" (LS) or "keep".
        beta: Of "bilateral": how many times the class outweighs any other; on ImageNet 100.
        gamma: Of "bilateral": what the most confusing class keeps of its share.
        smoothing: Of "smooth": eps_y, the weight moved away from the class.
        batchnorm: The mode while attacking, "eval" as in the authors' code.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> BAT(eps=8 / 255)(model, torch.rand(8, 1, 8, 8), torch.arange(8)).backward()

    Differs from the paper: nothing that it decides. Where it is silent, as the authors' code:
    target and label from the clean image, eval mode, eq. 18 with equality for every image, the
    start not clipped. Budgets are in [0, 1]; there, pixels are in [-1, 1]. Cost: one clean forward,
    steps forward and backward passes, one of each for the loss; no clean forward where neither
    target nor label needs it.
    """

    eps: float = 8 / 255
    step_size: float | None = None
    steps: int = 1
    target: str | None = "most_confusing"
    random_start: bool = True
    clip_start: bool = False
    label: str = "bilateral"
    beta: float = 9.0
    gamma: float = 0.01
    smoothing: float = 0.5
    batchnorm: BatchNormMode = "eval"

    def __post_init__(self) -> None:
        budget("eps", self.eps, unbounded=False)
        count("steps", self.steps)
        choice("label", self.label, ("bilateral", "smooth", "keep"))
        Bilateral(beta=self.beta, gamma=self.gamma)
        number("smoothing", self.smoothing, low=0.0, high=1.0)
        self._risk()

    @property
    def passes(self) -> Passes:
        """The search's, one of each for the loss, and one clean forward for target and label."""
        return self._risk().passes

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean loss at the adversarial images against the adversarial labels.

        Args:
            model: The model, in the mode in which it trains.
            x: Images, shape (N, C, H, W), in [0, 1].
            y: Classes (N,) or distributions (N, K).
            rng: Where draws come from; torch's global generator when not given.

        Returns:
            The mean loss, a scalar.
        """
        return self._risk()(model, x, y, rng=rng)

    def _risk(self) -> Vicinal:
        image = PGD(
            eps=self.eps,
            step_size=self.eps / self.steps if self.step_size is None else self.step_size,
            steps=self.steps,
            target=self.target,
            random_start=self.random_start,
            clip_start=self.clip_start,
            batchnorm=self.batchnorm,
        )
        return Vicinal(inputs=image, labels=self._label_move())

    def _label_move(self) -> LabelMove:
        if self.label == "bilateral":
            return Bilateral(beta=self.beta, gamma=self.gamma)
        return Smooth(eps=self.smoothing) if self.label == "smooth" else Keep()
