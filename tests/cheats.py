"""Classifiers whose robustness is a trick, each of which one check of the verdict was made for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "Batchwise",
    "Decoyed",
    "Guarded",
    "Noisy",
    "Optimising",
    "Quantised",
    "Reversed",
    "Rooted",
    "Shattered",
    "Softmaxed",
    "Stretched",
    "Typed",
]


class _Around(nn.Module):
    """A trick around an honest net."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def ask(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x)
        return z


class Quantised(_Around):
    """Pixels on a few levels: the rounding's gradient is zero everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return self.ask((x * 8).round() / 8)


class Typed(_Around):
    """Pixels as bytes: the graph is cut."""

    def forward(self, x: Tensor) -> Tensor:
        return self.ask((x * 255).round().byte().float() / 255)


class Stretched(_Around):
    """Logits times 1000: the softmax underflows, and with it the cross-entropy's gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return 1000 * self.ask(x)


class Noisy(_Around):
    """Noise on the pixels at test time, from torch's global generator."""

    def forward(self, x: Tensor) -> Tensor:
        return self.ask(x + 0.1 * torch.randn_like(x))


class Softmaxed(_Around):
    """Probabilities in place of logits."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.softmax(self.ask(x), dim=1)


class Decoyed(_Around):
    """A class that is always second and never first hides the others from untargeted losses."""

    def forward(self, x: Tensor) -> Tensor:
        z = 30 * self.ask(x)
        top, own = z.max(dim=1, keepdim=True)
        signs = 1 - 2 * (torch.arange(x[0].numel(), device=x.device) % 2)
        pull = torch.tanh((x.flatten(1) * signs).mean(dim=1, keepdim=True))
        return z.scatter(1, (own + 1) % z.shape[1], top - 0.01 * (2 - pull))


class Guarded(_Around):
    """Gradients are right at images of whole grey levels, and turned round anywhere else."""

    def forward(self, x: Tensor) -> Tensor:
        whole = ((x * 255).round() / 255 == x).flatten(1).all(dim=1).view(-1, 1, 1, 1)
        return self.ask(torch.where(whole, x, 2 * x.detach() - x))


class Reversed(_Around):
    """The same values with every gradient turned round."""

    def forward(self, x: Tensor) -> Tensor:
        return self.ask(2 * x.detach() - x)


class Rooted(_Around):
    """A root whose slope is infinite at black pixels: gradients are no numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return self.ask(x.clamp_min(0).sqrt().square())


class Shattered(_Around):
    """A ripple on the logits, far finer than any step."""

    def forward(self, x: Tensor) -> Tensor:
        z = self.ask(x)
        ripple = torch.sin(3000 * x.flatten(1).sum(dim=1, keepdim=True))
        return z + 0.9 * z.detach() * ripple


class Batchwise(_Around):
    """Images are shifted by the mean of their batch."""

    def forward(self, x: Tensor) -> Tensor:
        return self.ask(x - 0.5 * x.mean(dim=0, keepdim=True))


class Optimising(_Around):
    """Images are cleaned by a step along a gradient before they are told apart."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_(True)
            (g,) = torch.autograd.grad(self.ask(leaf).logsumexp(dim=1).sum(), leaf)
        return self.ask(x + 0.01 * g.sign())
