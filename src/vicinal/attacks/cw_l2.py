r"""CW-L2 (Carlini and Wagner 2017): the nearest image in l2 that is wrong with confidence.

.. math:: \min_\omega \|x' - x\|_2^2 + c \max(0, \kappa - m(x')), \qquad
          x' = \tfrac12 (\tanh(\mathrm{artanh}(0.999999 (2x - 1)) + \omega) + 1)

with m the margin by which the model errs: :math:`\max_{i \neq y} z_i - z_y`, or with a target
:math:`z_t - \max_{i \neq t} z_i`. Adam descends; c is searched for by bisection, each image its
own, after growing tenfold until there is a success. Constants are those of the authors' code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import count, images, labels, logits, number
from vicinal._typing import Model, Norm, Passes
from vicinal.attacks.nearby import Nearby
from vicinal.attacks.result import Result
from vicinal.attacks.search import checked
from vicinal.attacks.survivors import Survivors, pick
from vicinal.attacks.tanh_adam import TanhAdam
from vicinal.gradients import ascend, clean_logits, detached, frozen, undisturbed
from vicinal.inputs.targets import check_target, choose_target
from vicinal.maths.balls import distance
from vicinal.maths.losses import widen
from vicinal.maths.simplex import true_class

__all__ = ["CWL2"]

_CEILING, _PATIENCE = 1e10, 3


@dataclass(frozen=True, kw_only=True)
class CWL2:
    r"""Descend distance plus c times the missing margin, for the best c of every image.

    Unbounded: there is no eps. An image that the model gets wrong already is returned as it is
    where no confidence is asked for. Where no confident error is found, the iterate of greatest
    margin is returned.

    Args:
        steps: Iterations of Adam for each c; the authors' code allows 10,000.
        confidence: The margin kappa in logits by which the model shall err.
        search_steps: How many values of c are tried.
        constant: The first c.
        learning_rate: Adam's.
        abort_early: An image whose objective has not fallen by a ten-thousandth of itself in three
            tenths of the iterations waits for its next c.
        target: None for any error; "least_likely", "most_confusing", "random" or classes (N,).

    Example:
        >>> model = torch.nn.Flatten()  # two pixels, two logits: the border is their diagonal
        >>> x = torch.tensor([0.75, 0.5]).view(1, 2, 1, 1)
        >>> result = CWL2(steps=200)(model, x, torch.tensor([0]))
        >>> result.success, [round(norm, 2) for norm in result.norms.tolist()]
        (tensor([True]), [0.18])

    Cost: one forward pass on the clean image, then at most steps x search_steps forward and
    backward passes; `spent` of the result counts them where images wait.
    """

    steps: int = 1000
    confidence: float = 0.0
    search_steps: int = 9
    constant: float = 1e-3
    learning_rate: float = 1e-2
    abort_early: bool = True
    target: str | Tensor | None = None

    def __post_init__(self) -> None:
        count("steps", self.steps, low=0)
        count("search_steps", self.search_steps)
        number("confidence", self.confidence, low=0.0, open_high=True)
        number("constant", self.constant, low=0.0, high=_CEILING, open_low=True)
        number("learning_rate", self.learning_rate, low=0.0, open_low=True, open_high=True)
        check_target(self.target)

    @property
    def norm(self) -> Norm:
        """The norm in which it measures."""
        return "l2"

    @classmethod
    def m_tlat(cls) -> CWL2:
        """The attack of M-TLAT's tables (Laugros et al. 2020): 40 iterations, confidence 50."""
        return cls(steps=40, confidence=50.0)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Where random targets come from; torch's global generator when not given.

        Returns:
            The result; norms are l2.
        """
        began = time.perf_counter()
        images(x)
        labels(y, n=x.shape[0])
        x, y = detached(x), detached(y)
        with frozen(model), undisturbed(x):
            z = checked(clean_logits(model, x), y)
            t = None if self.target is None else choose_target(self.target, z, y, rng=rng)
            best = Nearby(x, y, t, confidence=self.confidence)
            best.visit(x, z)
            spent = self._search(model, x, best)
        n, most = x.shape[0], self.steps * self.search_steps
        return Result(
            adv=best.x,
            success=best.wrong,
            norms=distance(best.x, x, norm="l2"),
            passes=Passes(1 + most, most),
            seconds=time.perf_counter() - began,
            target=t,
            target_hit=None if t is None else best.hit,
            clean_correct=z.argmax(dim=1) == true_class(y),
            spent=Passes(n + spent.forward, spent.backward),
        )

    def _search(self, model: Model, x: Tensor, best: Nearby) -> Passes:
        """Try one c after the other."""
        # In float32 at least: half precision ends at 65504, below the ceiling.
        constant = torch.full_like(widen(x[:, 0, 0, 0]), self.constant)
        low, high = torch.zeros_like(constant), torch.full_like(constant, _CEILING)
        forward = backward = 0
        for trial in range(self.search_steps if self.steps else 0):
            if trial == self.search_steps - 1 and self.search_steps >= 10:
                constant = high
            descent = _Descent(self, model, x, constant, best)
            found, spent = descent.run()
            high = torch.where(found, torch.minimum(high, constant), high)
            low = torch.where(found, low, torch.maximum(low, constant))
            grown = torch.where(found, constant, constant * 10)
            constant = torch.where(high < _CEILING / 10, (low + high) / 2, grown)
            forward, backward = forward + spent.forward, backward + spent.backward
        return Passes(forward, backward)


class _Descent:
    """Adam for one c of every image; those whose objective stalls leave."""

    def __init__(
        self, attack: CWL2, model: Model, x: Tensor, constant: Tensor, best: Nearby
    ) -> None:
        self._attack, self._model, self._best = attack, model, best
        self._x, self._constant = x, constant
        self._adam = TanhAdam(x, learning_rate=attack.learning_rate)
        self._found = torch.zeros(x.shape[0], dtype=torch.bool, device=x.device)
        self._tenth = max(attack.steps // 10, 1)
        self._left = Survivors(x.shape[0], device=x.device, every=self._tenth)
        self._margin = best.margins(self._left.rows)
        self._least = self._marked = torch.full_like(constant, torch.inf)
        self._stalled = torch.zeros_like(self._left.rows)

    def run(self) -> tuple[Tensor, Passes]:
        """Descend, and tell for which images a confident error was found, and what was spent."""
        attack, at, done = self._attack, self._adam.start(), 0
        while done < attack.steps and len(self._left) > 0:
            steps = min(self._tenth if attack.abort_early else attack.steps, attack.steps - done)
            at = ascend(
                self._model,
                at,
                lambda z: -self._penalty(z),
                steps=steps,
                move=self._adam.step,
                visit=self._visitor(),
            )
            done += steps
            self._left.spend(forward=steps, backward=steps)
            if attack.abort_early and done < attack.steps:
                at = self._let_go(at)
        logits(self._last, n=self._last.shape[0])
        return self._found, self._left.spent

    def _let_go(self, at: Tensor) -> Tensor:
        """Let those go that have stalled. The device is waited for."""
        fell = self._least < 0.9999 * self._marked
        self._stalled = torch.where(fell, 0, self._stalled + 1)
        self._marked = torch.where(fell, self._least, self._marked)
        stay = self._left.leave(self._stalled >= _PATIENCE)
        self._adam.keep(stay)
        at, self._x, self._constant, self._least, self._marked, self._stalled = pick(
            stay, at, self._x, self._constant, self._least, self._marked, self._stalled
        )
        self._margin = self._best.margins(self._left.rows)
        return at

    def _penalty(self, z: Tensor) -> Tensor:
        short = (self._attack.confidence - self._margin(z)).clamp_min(0)
        return self._constant * short

    def _visitor(self) -> Callable[[Tensor, Tensor], None]:
        whole = len(self._left) == len(self._found)
        rows, first = None if whole else self._left.rows, iter((True,))

        def visit(x: Tensor, z: Tensor) -> None:
            if next(first, False):
                logits(z, n=x.shape[0])
            self._last = z
            objective = distance(x, self._x, norm="l2").square() + self._penalty(z)
            self._least = torch.minimum(self._least, objective)
            confident = self._best.visit(x, z, rows)
            if rows is None:
                self._found |= confident
            else:
                self._found.index_copy_(0, rows, self._found[rows] | confident)

        return visit
