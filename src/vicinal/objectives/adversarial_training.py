r"""Adversarial training: pay the loss at the worst image that a search in a ball finds.

.. math:: \min_\theta \frac1N \sum_i \max_{\|x'_i - x_i\| \le \epsilon} \ell(f(x'_i), y_i)
          \quad (Madry et al. 2018, eq. 2.1; BAT, eq. 1)

The search is PGD, and its one-step forms are instances (BAT, table 3); so is a smoothed label:

    FGSM                one_step(eps=e)                                          2+2
    LL, MC              one_step(eps=e, target="least_likely" or "most_confusing")  2+2
    random target       one_step(eps=e, target="random")                         2+2
    R-FGSM              one_step(eps=e, random_start=True)                       2+2
    R-LL, R-MC          one_step(eps=e, target=..., random_start=True)           3+2
    N-FGSM              n_fgsm(eps=e)                                            2+2
    Madry, PGD-n        AdversarialTraining(eps=e, step_size=a, steps=n)         (n+1)+(n+1)
    LS-PGD              the same with labels=labels.Smooth(eps=0.2)              (n+1)+(n+1)

Not here: BAT's own pairs with its label adversary, which are `objectives.BAT`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from vicinal._typing import BatchNormMode, Model, Norm, Passes
from vicinal.inputs import PGD
from vicinal.labels import Keep, LabelMove
from vicinal.objectives.erm import ERM
from vicinal.objectives.vicinal import Vicinal

__all__ = ["AdversarialTraining"]


@dataclass(frozen=True, kw_only=True)
class AdversarialTraining:
    r"""Cross-entropy at PGD's last iterate, alone or averaged with that of the clean batch.

    ERM at eps = 0, step_size = 0.

    Args:
        eps: Radius in pixel units, or one per channel (C,) for linf.
        step_size: Step in pixel units.
        steps: How many.
        norm: "linf" or "l2".
        loss: What is climbed, "ce" or "margin".
        target: None climbs away from the label; "least_likely", "most_confusing" or "random" climb
            towards a wrong class.
        random_start: Begin at a uniform draw from the ball.
        start_radius: Radius of the ball of that draw in units of eps; 2 in N-FGSM.
        clip_start: Clip the start to [0, 1], as most codes do and BAT's does not.
        project_back: Bring every iterate back into the ball; N-FGSM does not.
        labels: The label move at the adversarial images; hard labels by default.
        clean_half: Average the risk with that of the clean batch against the given labels,
            (clean + adversarial) / 2; the label move does not touch the clean half.
        batchnorm: "eval", "train_frozen_stats" or "train" while attacking, see `gradients.frozen`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> madry = AdversarialTraining(eps=8 / 255, step_size=2 / 255, steps=7)
        >>> madry(model, torch.rand(8, 1, 8, 8), torch.arange(8)).backward()

    Differs from the paper: BatchNorm is in eval mode while attacking; Madry's code has the batch's
    statistics there ("train_frozen_stats") and 10 steps where the paper has 7. Cost: (steps + 1)
    forward and (steps + 1) backward passes, one forward more where a target or a label needs clean
    logits, one of each more with the clean half.
    """

    eps: float | Tensor = 8 / 255
    step_size: float | Tensor = 2 / 255
    steps: int = 10
    norm: Norm = "linf"
    loss: str = "ce"
    target: str | None = None
    random_start: bool = True
    start_radius: float = 1.0
    clip_start: bool = True
    project_back: bool = True
    labels: LabelMove = field(default_factory=Keep)
    clean_half: bool = False
    batchnorm: BatchNormMode = "eval"

    def __post_init__(self) -> None:
        self._risk()

    @classmethod
    def one_step(
        cls, *, eps: float | Tensor, target: str | None = None, random_start: bool = False
    ) -> AdversarialTraining:
        """Make the one-step family of BAT's table 3: one step as long as the radius.

        Args:
            eps: Radius and step in pixel units.
            target: None for FGSM, "least_likely" for LL, "most_confusing" for MC, or "random".
            random_start: Whether the name has an "R-" before it. The start is not clipped to
                [0, 1], as in BAT's code.

        Returns:
            The objective.

        Example:
            >>> str(AdversarialTraining.one_step(eps=8 / 255, target="most_confusing").passes)
            '2+2'
        """
        return cls(
            eps=eps,
            step_size=eps,
            steps=1,
            target=target,
            random_start=random_start,
            clip_start=not random_start,
        )

    @classmethod
    def n_fgsm(cls, *, eps: float | Tensor) -> AdversarialTraining:
        """Make N-FGSM (de Jorge et al. 2022): noise twice as wide, one step, no projection.

        Args:
            eps: Half the width of the noise and the step, in pixel units; images end up to 3 eps
                away.

        Returns:
            The objective.

        Example:
            >>> str(AdversarialTraining.n_fgsm(eps=8 / 255).passes)
            '2+2'
        """
        return cls(eps=eps, step_size=eps, steps=1, start_radius=2.0, project_back=False)

    @property
    def risks(self) -> int:
        """Two with a clean half, else one."""
        return 1 + self.clean_half

    @property
    def passes(self) -> Passes:
        """The search's, one of each for the loss, and one of each for a clean half."""
        forward, backward = self._risk().passes
        return Passes(forward + self.clean_half, backward + self.clean_half)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean loss at the adversarial images, or its mean with the clean loss.

        Args:
            model: The model, in the mode in which it trains.
            x: Images, shape (N, C, H, W), in [0, 1].
            y: Classes (N,) or distributions (N, K).
            rng: Where draws come from; torch's global generator when not given.

        Returns:
            The mean loss, a scalar.
        """
        risk = self._risk()(model, x, y, rng=rng)
        return (ERM()(model, x, y) + risk) / 2 if self.clean_half else risk

    def _risk(self) -> Vicinal:
        search = {part.name: getattr(self, part.name) for part in fields(PGD)}
        return Vicinal(inputs=PGD(**search), labels=self.labels)
