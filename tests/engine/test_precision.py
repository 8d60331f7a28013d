from __future__ import annotations

import pytest
import torch
from torch import nn

from vicinal._checks import InputError
from vicinal.engine.precision import Precision, autocast, on_device, to_channels_last

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_products_run_in_the_precision_and_weights_stay_fp32(
    precision: Precision, expected: torch.dtype
) -> None:
    layer = nn.Linear(2, 2)
    with autocast(precision, CPU):
        z = layer(torch.ones(1, 2))
    z.float().sum().backward()
    assert z.dtype == expected
    assert layer.weight.dtype == torch.float32
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_fp32_holds_inside_the_callers_own_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), autocast("fp32", CPU):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32


def test_fp32_is_no_context_where_no_autocast_is_active() -> None:
    assert not isinstance(autocast("fp32", CPU), torch.autocast)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert isinstance(autocast("fp32", CPU), torch.autocast)


def test_a_forward_after_the_weights_moved_sees_the_moved_weights() -> None:
    layer, x = nn.Linear(4, 1, bias=False), torch.ones(1, 4)
    with autocast("bf16", CPU):
        before = layer(x)
        with torch.no_grad():
            layer.weight.add_(1.0)
        after = layer(x)
    assert float(after.detach() - before.detach()) == pytest.approx(4.0, abs=0.05)


def test_another_precision_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"^`precision` must be fp32 \| bf16; got 'fp8'"):
        autocast("fp8", CPU)  # type: ignore[arg-type]


def test_channels_last_changes_the_layout_and_no_value() -> None:
    conv = nn.Conv2d(3, 4, 3)
    net = nn.Sequential(conv, nn.Flatten(), nn.Linear(16, 2))
    x = torch.rand(2, 3, 4, 4)
    expected = net(x)
    assert to_channels_last(net) is net
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    laid_out = on_device(x, CPU, channels_last=True)
    assert laid_out.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(laid_out, x)
    torch.testing.assert_close(net(laid_out), expected)


def test_a_tensor_that_is_in_place_is_not_copied() -> None:
    x, y = torch.rand(2, 3, 4, 4), torch.tensor([0, 1])
    assert on_device(x, CPU) is x
    assert on_device(y, CPU, channels_last=True) is y
