"""How much of a training step is more than its convolutions: share of the measured ceiling.

The ceiling is the net's own convolutions alone, one after the other at the shapes that they meet,
forward and backward (the stem's without the gradient of the images), with random tensors made
before; on CUDA by the fastest algorithm that cuDNN finds. Share: the time of these over the time of
a whole training step of ERM next to them. In bf16 the convolutions of the ceiling take bf16 tensors
as they lie, while the step casts its fp32 weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.formats import FAST, PLAIN, Format
from benchmarks.nets import batch_of, preactresnet18, still_sgd, training_step, wide_resnet
from benchmarks.progress import Bar
from benchmarks.settings import Settings
from benchmarks.timing import Comparison, Figure, Work, compare, interleave
from vicinal.engine import on_device, to_channels_last
from vicinal.objectives import ERM

__all__ = ["Layer", "convolutions", "layers_of", "measure"]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One convolution at the shape that it meets in a net.

    Args:
        x: Shape of its input, (N, C, H, W).
        weight: Shape of its weight, (O, C / groups, k, k).
        stride: Its stride.
        padding: Its padding.
        dilation: Its dilation.
        groups: Its groups.
        first: Whether its input is the images, which need no gradient.
    """

    x: tuple[int, ...]
    weight: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    first: bool

    def work(self, device: torch.device, form: Format) -> Work:
        """Make the work of this convolution alone, forward and backward.

        Args:
            device: Where it computes.
            form: Its number format and layout.

        Returns:
            The work.
        """
        x, weight = _random(self.x, device, form), _random(self.weight, device, form)
        x.requires_grad_(not self.first)
        weight.requires_grad_(True)
        wanted = (weight,) if self.first else (x, weight)
        rest = (None, self.stride, self.padding, self.dilation, self.groups)
        upstream = torch.randn_like(functional.conv2d(x, weight, *rest)).detach()

        def work() -> None:
            torch.autograd.grad(functional.conv2d(x, weight, *rest), wanted, upstream)

        return work


def _random(shape: tuple[int, ...], device: torch.device, form: Format) -> Tensor:
    dtype = torch.bfloat16 if form.precision == "bf16" else torch.float32
    layout = torch.channels_last if form.channels_last else torch.contiguous_format
    return torch.randn(*shape, device=device, dtype=dtype).contiguous(memory_format=layout)


def layers_of(net: nn.Module, x: Tensor) -> Counter[Layer]:
    """Record every convolution of a forward pass.

    Args:
        net: The net; only its BatchNorm statistics change.
        x: Images (N, C, H, W).

    Returns:
        How often each convolution occurs.
    """
    found: Counter[Layer] = Counter()

    def note(module: nn.Conv2d, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        assert not isinstance(module.padding, str)
        layer = Layer(
            x=tuple(inputs[0].shape),
            weight=tuple(module.weight.shape),
            stride=module.stride,
            padding=module.padding,
            dilation=module.dilation,
            groups=module.groups,
            first=not found,
        )
        found[layer] += 1

    hooks = [
        module.register_forward_hook(note)
        for module in net.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return found


def convolutions(
    layers: Counter[Layer], device: torch.device, *, form: Format, repeats: int
) -> Work:
    """Make the work of all convolutions of a net, and of nothing else.

    Args:
        layers: The convolutions.
        device: Where they compute.
        form: Their number format and layout.
        repeats: How often in one run.

    Returns:
        The work.
    """
    works = [(layer.work(device, form), times) for layer, times in layers.items()]

    def work() -> None:
        with _fastest_algorithms():
            for _ in range(repeats):
                for each, times in works:
                    for _ in range(times):
                        each()

    return work


@contextmanager
def _fastest_algorithms() -> Generator[None, None, None]:
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    try:
        cudnn.benchmark = True
        yield
    finally:
        cudnn.benchmark = before


def measure(settings: Settings, bar: Bar) -> list[Comparison | Figure]:
    """Time training steps in pairs with their convolutions alone.

    Args:
        settings: The sizes; `wide` adds a wide net.
        bar: Where progress is shown.

    Returns:
        For each net and format: the step over its ceiling, the share, and images per second.
    """
    builds: dict[str, Callable[[], nn.Module]] = {
        "PreActResNet18": lambda: preactresnet18(settings)
    }
    if settings.wide is not None:
        depth, width = settings.wide
        builds[f"WRN-{depth}-{width}"] = lambda: wide_resnet(settings, depth, width)
    found: list[Comparison | Figure] = []
    for name, build in builds.items():
        for form in (PLAIN, FAST):
            found += _one(f"{name}, {form.name}", build(), form, settings, bar)
    return found


def _one(
    name: str, net: nn.Module, form: Format, settings: Settings, bar: Bar
) -> list[Comparison | Figure]:
    x, y = batch_of(settings)
    layers = layers_of(net, x)
    if form.channels_last:
        to_channels_last(net)
    batch = on_device(x, settings.device, channels_last=form.channels_last), y
    step = training_step(
        net, still_sgd(net), ERM(), batch, repeats=settings.repeats, precision=form.precision
    )
    bar.begin(f"ceiling of {name}", runs=4 * settings.pairs)
    samples = interleave(
        convolutions(layers, settings.device, form=form, repeats=settings.repeats),
        {name: step},
        pairs=settings.pairs,
        device=settings.device,
        warmup=settings.warmup,
        tick=bar.tick,
    )
    row = compare(samples, name, against="its convolutions alone")
    images, how = settings.batch * settings.repeats, f"batch {settings.batch}, training"
    share = f"time of its {layers.total()} convolutions over that of a step"
    return [
        row,
        Figure(name=f"{name}: step", value=images / row.seconds, unit="images/s", how=how),
        Figure(name=f"{name}: ceiling", value=images / row.base_seconds, unit="images/s", how=how),
        Figure(name=f"{name}: share", value=100 / row.ratio, unit="% of ceiling", how=share),
    ]
