r"""Networks: pixels (N, C, H, W) in [0, 1] go in, logits (N, K) come out.

Normalisation is inside, so a budget of 8/255 means the same for every model and no attack needs to
know a mean:

>>> import torch
>>> from vicinal import models
>>> model = models.preactresnet18(num_classes=10, width=16)
>>> model(torch.rand(2, 3, 32, 32)).shape
torch.Size([2, 10])

They share their arguments. `num_classes` and `in_channels` fit the data; `mean` and `std` are the
training set's statistics, saved with the weights; `width`, the channels of the first stage (for
`wide_resnet` the widening factor), scales a network down; `dropout` acts on the pooled features
before the last linear layer. Images may be of any size that the field uses, 28 to 224 pixels, for
`digits_net` from 8:

>>> models.vgg16(num_classes=200, width=4, dropout=0.5)(torch.rand(2, 3, 64, 64)).shape
torch.Size([2, 200])
>>> models.digits_net(norm_layer="group")(torch.rand(2, 1, 8, 8)).shape
torch.Size([2, 10])
>>> models.wide_resnet(16, 2, num_classes=100)(torch.rand(2, 3, 32, 32)).shape
torch.Size([2, 100])

A network has three parts, `normalize`, `features` and `head`. Only those that torchvision has too,
`resnet50`, `resnet101`, `resnet152` and `resnext50`, take its names for their parts instead
(`conv1`, `layer1`, `fc`), so that its weights load in one call:

>>> model = models.resnet50(num_classes=1000)
>>> state = torch.load("resnet50-0676ba61.pth")             # doctest: +SKIP
>>> models.load_torchvision(model, state)                   # doctest: +SKIP

A network of anybody else's, trained on normalised images, is wrapped once:

>>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10))
>>> model = models.normalized(net, mean=(0.49, 0.48, 0.45), std=(0.25, 0.24, 0.26))
>>> model(torch.rand(2, 3, 32, 32)).shape
torch.Size([2, 10])

Weights are drawn from torch's global generator, so `torch.manual_seed` rules them. `MODELS` is the
table from a name in a recipe to a network.
"""

from collections.abc import Callable

from torch import nn

from vicinal.models.digits_net import digits_net
from vicinal.models.normalize import Normalize, normalized
from vicinal.models.preact_resnet import preactresnet18
from vicinal.models.resnet import load_torchvision, resnet50, resnet101, resnet152
from vicinal.models.resnext import resnext50
from vicinal.models.vgg import vgg16
from vicinal.models.wide_resnet import wide_resnet

__all__ = [
    "MODELS",
    "Normalize",
    "digits_net",
    "load_torchvision",
    "normalized",
    "preactresnet18",
    "resnet101",
    "resnet152",
    "resnet50",
    "resnext50",
    "vgg16",
    "wide_resnet",
]

MODELS: dict[str, Callable[..., nn.Module]] = {
    "preactresnet18": preactresnet18,
    "vgg16": vgg16,
    "wide_resnet": wide_resnet,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "resnet152": resnet152,
    "resnext50": resnext50,
    "digits_net": digits_net,
}
"""Every network by the name that recipes and the command line use."""
