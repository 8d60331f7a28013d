"""torchvision's own networks as oracles, where torchvision imports; otherwise the test skips.

Beside a build of torch that its compiled part does not fit, torchvision stops at
`operator torchvision::nms does not exist`. Its networks need none of these operators, so declaring
the two it asks for is enough; what it then computes is torch's.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from functools import cache
from types import ModuleType

import pytest
import torch
from torch import nn

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_DECLARED: list[torch.library.Library] = []  # a library that is collected forgets its schemas


def build(name: str, *, num_classes: int = 1000, seed: int = 0) -> nn.Module:
    """One of torchvision's networks with weights drawn from a seed; skips where there is none."""
    found = _models()
    if isinstance(found, str):
        pytest.skip(found)
    torch.manual_seed(seed)
    net: nn.Module = getattr(found, name)(weights=None, num_classes=num_classes)
    return net


@cache
def _models() -> ModuleType | str:
    """The module, or why there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about image codecs, which no network needs
        try:
            return _imported()
        except ImportError as error:
            return f"torchvision cannot be imported ({error})"
        except RuntimeError:
            return _imported_with_schemas()


def _imported() -> ModuleType:
    return importlib.import_module("torchvision.models")


def _imported_with_schemas() -> ModuleType | str:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    try:
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        _DECLARED.append(library)
        for schema in _SCHEMAS:
            library.define(schema)  # type: ignore[no-untyped-call]
        return _imported()
    except (ImportError, RuntimeError) as error:
        return f"torchvision does not import beside this torch ({error})"
