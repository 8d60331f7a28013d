"""What a call costs: images through the model and back, and operations that wait for a device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Counted", "Operations"]


class Counted(nn.Module):
    """A model that counts the images that pass it forward, and their gradients backward."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.forward_images, self.backward_images = net, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        self.forward_images += len(x)
        z: Tensor = self.net(x)
        if z.requires_grad:
            z.register_hook(self._back)  # type: ignore[no-untyped-call]
        return z

    def _back(self, gradient: Tensor) -> None:
        self.backward_images += len(gradient)


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts every operation that torch dispatches inside it, by name.

    `transfers` counts the copies for which a device was named, as moving a tensor to it does.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()
        self.transfers = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        del types
        name = str(func).split(".")[1]
        self.counts[name] += 1
        self.transfers += name == "_to_copy" and (kwargs or {}).get("device") is not None
        return func(*args, **(kwargs or {}))

    @property
    def waits(self) -> int:
        """Operations whose result the host reads, or whose shape depends on values."""
        names = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "item", "equal")
        return sum(self.counts[name] for name in names)
