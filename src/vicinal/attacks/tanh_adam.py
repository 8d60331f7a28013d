"""Adam in the variable omega of CW-L2, in which every image lies within [0, 1]."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vicinal.attacks.survivors import pick
from vicinal.maths.losses import widen

__all__ = ["TanhAdam"]

_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8
"""Adam's constants (Kingma and Ba 2015)."""

_INNER = 1 - 1e-6
"""Pixels of exactly 0 and 1 are moved in by this factor: elsewhere they are infinite in omega."""


class TanhAdam:
    r"""Descends :math:`\|x' - x\|_2^2 - h(x')` given the gradient of h. It lives for one descent.

    .. math:: x' = \tfrac12 (\tanh(\mathrm{artanh}(0.999999 (2x - 1)) + \omega) + 1)

    Args:
        x: The clean images, shape (N, C, H, W), in [0, 1].
        learning_rate: Adam's.
    """

    def __init__(self, x: Tensor, *, learning_rate: float) -> None:
        # In float32 at least: half precision holds neither the factor nor Adam's smallest number.
        self._dtype, self._rate, self._x = x.dtype, learning_rate, widen(x)
        self._place = torch.atanh((2 * self._x - 1) * _INNER)
        self._mean, self._square = torch.zeros_like(self._x), torch.zeros_like(self._x)
        self._steps = 0

    def start(self) -> Tensor:
        """Give the images at omega = 0.

        Returns:
            Images, shape (N, C, H, W), of the clean ones' dtype.
        """
        return ((torch.tanh(self._place) + 1) / 2).to(self._dtype)

    def step(self, at: Tensor, gradient: Tensor) -> Tensor:
        """Take one step of Adam.

        Args:
            at: The images x', shape (N, C, H, W).
            gradient: The gradient of h there.

        Returns:
            The next images.
        """
        slope = (1 - torch.tanh(self._place).square()) / 2
        descent = (2 * (at - self._x) - torch.nan_to_num(gradient)) * slope
        self._steps += 1
        self._mean = torch.lerp(self._mean, descent, 1 - _FIRST)
        self._square = _SECOND * self._square + (1 - _SECOND) * descent.square()
        root = self._square.sqrt() / math.sqrt(1 - _SECOND**self._steps) + _TINY
        self._place = self._place - self._rate / (1 - _FIRST**self._steps) * self._mean / root
        return self.start()

    def keep(self, stay: Tensor | None) -> None:
        """Go on with fewer images.

        Args:
            stay: What `Survivors.leave` returned.
        """
        self._x, self._place, self._mean, self._square = pick(
            stay, self._x, self._place, self._mean, self._square
        )
