"""Copies of a model that are searched in its place: BatchNorm folded, logits of full precision."""

from __future__ import annotations

import copy
import logging

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vicinal._typing import Model

__all__ = ["Exact", "folded", "make_logits_exact"]

_log = logging.getLogger("vicinal")


def folded(model: Model) -> Model:
    """Fold every BatchNorm whose only input is a convolution that nothing else reads.

    In pre-activation nets these are the inner ones; one that follows a sum stays.

    Args:
        model: The model; not changed.

    Returns:
        A copy in eval mode with the same logits up to rounding; the model itself where a trace of
        it would be another function, which is logged: where it cannot be copied or traced, has
        hooks or a forward of its own that a trace passes over, or makes tensors as it predicts,
        which may be draws.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
        >>> x = torch.rand(2, 3, 8, 8)
        >>> bool(torch.allclose(folded(net)(x), net(x), atol=1e-6))
        True
        >>> sum(isinstance(part, nn.BatchNorm2d) for part in folded(net).modules())
        0
    """
    if not any(isinstance(part, nn.BatchNorm2d) for part in model.modules()):
        return model
    traced = _traced(model)
    if traced is None:
        return model
    parts = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        if _foldable(node, parts):
            _fold(node, parts, traced)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _traced(model: Model) -> fx.GraphModule | None:
    """Trace a copy; None, and in the log why, where the trace would be another function."""
    if not _is_plain(model):
        _log.warning("BatchNorm stays unfolded: the model has hooks or a forward of its own")
        return None
    try:
        traced = fx.symbolic_trace(copy.deepcopy(model).eval())
    except Exception as error:
        _log.warning("BatchNorm stays unfolded, the model cannot be traced: %s", error)
        return None
    if any(str(node.target).startswith("_tensor_constant") for node in traced.graph.nodes):
        _log.warning("BatchNorm stays unfolded: the model makes tensors as it predicts")
        return None
    return traced


def _is_plain(module: nn.Module) -> bool:
    """Tell whether a call of a module is its class's forward and nothing else."""
    hooks = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return "forward" not in vars(module) and not any(getattr(module, name) for name in hooks)


def _foldable(node: fx.Node, parts: dict[str, nn.Module]) -> bool:
    if node.op != "call_module" or not isinstance(parts[str(node.target)], nn.BatchNorm2d):
        return False
    (before,) = node.args
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
        return False
    if not (_is_plain(parts[str(node.target)]) and _is_plain(parts[str(before.target)])):
        return False
    once = sum(other.target == before.target for other in node.graph.nodes) == 1
    tracking = parts[str(node.target)].track_running_stats
    return once and bool(tracking) and type(parts[str(before.target)]) is nn.Conv2d


def _fold(node: fx.Node, parts: dict[str, nn.Module], traced: fx.GraphModule) -> None:
    before = node.args[0]
    if not isinstance(before, fx.Node):
        return
    name = str(before.target)
    conv, norm = parts[name], parts[str(node.target)]
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        return
    parts[name] = fuse_conv_bn_eval(conv, norm)
    owner, _, last = name.rpartition(".")
    setattr(traced.get_submodule(owner), last, parts[name])
    node.replace_all_uses_with(before)
    traced.graph.erase_node(node)


class Exact(nn.Module):
    """A linear layer that autocast leaves in the precision of its weights.

    Args:
        layer: The layer.

    Example:
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     z = Exact(nn.Linear(4, 3))(torch.rand(2, 4))
        >>> z.dtype
        torch.float32
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer."""
        with torch.autocast(x.device.type, enabled=False):
            z: Tensor = self.layer(x.to(self.layer.weight.dtype))
        return z


def make_logits_exact(copied: Model) -> bool:
    """Let the linear layer that gives the logits compute in full precision under autocast.

    bfloat16 rounds logits near 3 to multiples of 1/64, more than a good step of a search gains. The
    features stay rounded, which blurs the logits by less and leaves them with all their digits.

    Args:
        copied: What `folded` gave; changed where it is a copy whose last layer is linear.

    Returns:
        Whether it was changed.
    """
    if not isinstance(copied, fx.GraphModule):
        return False
    (last,) = next(node for node in copied.graph.nodes if node.op == "output").args
    if not isinstance(last, fx.Node) or last.op != "call_module":
        return False
    layer = copied.get_submodule(str(last.target))
    if type(layer) is not nn.Linear or not _is_plain(layer):
        return False
    owner, _, name = str(last.target).rpartition(".")
    setattr(copied.get_submodule(owner), name, Exact(layer))
    return True
