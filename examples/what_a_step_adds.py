r"""What one step in the ball adds to a net's loss: a batch's transport cost climbed, or its labels.

    python examples/what_a_step_adds.py RUN [RUN ...] --data-dir DIR

Feature scattering climbs the transport cost between the clean and the moved batch's logits, R-FGSM
the cross-entropy; from the same random start each takes one step of the ball's radius. For every
run this prints the cross-entropy and the accuracy on clean images, after each of the two steps and
after PGD-10, how much of an image's mass the transport plan leaves with the image itself, and the
cosine between the two gradients: whether what scattering climbs is what an attack climbs.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from torch import Tensor, nn

import vicinal
from vicinal import data
from vicinal.gradients import clean_logits, frozen, input_gradient
from vicinal.inputs import PGD, FeatureScatter
from vicinal.inputs.feature_scatter import scatter
from vicinal.maths.balls import sample
from vicinal.maths.losses import cross_entropy
from vicinal.maths.transport import cosine_cost, sinkhorn

SEED = 7


def seeded() -> torch.Generator:
    """Give every move the same draws, and so the same start."""
    return torch.Generator().manual_seed(SEED)


def moves(eps: float) -> dict[str, FeatureScatter | PGD]:
    """Name the moves that are held against each other."""
    return {
        "Feature Scatter": FeatureScatter(eps=eps, step_size=eps),
        "R-FGSM": PGD(eps=eps, step_size=eps, steps=1, clip_start=False),
        "PGD-10": PGD(eps=eps, step_size=eps / 4, steps=10),
    }


def added(net: nn.Module, x: Tensor, y: Tensor, *, eps: float, batch: int) -> dict[str, Tensor]:
    """Return the logits (N, K) on clean images and after each move."""
    found = {"clean": clean_logits(net, x)}
    for name, move in moves(eps).items():
        pieces = zip(torch.split(x, batch), torch.split(y, batch), strict=True)
        moved = torch.cat([move(net, *piece, rng=seeded()).x for piece in pieces])
        found[name] = clean_logits(net, moved)
    return found


def kept(net: nn.Module, x: Tensor, *, eps: float) -> float:
    """Return the mean share of an image's mass that the plan leaves with the image itself."""
    start = sample(x, eps=eps, norm="linf", rng=seeded())
    plan = sinkhorn(cosine_cost(clean_logits(net, x), clean_logits(net, start)))
    return float((plan.diag() / plan.sum(1)).mean())


def cosine(net: nn.Module, x: Tensor, y: Tensor, *, eps: float) -> float:
    """Return the mean cosine between the transport cost's gradient and the cross-entropy's."""
    start = sample(x, eps=eps, norm="linf", rng=seeded())
    climbs = (scatter(clean_logits(net, x)), partial(cross_entropy, y=y))
    with frozen(net):
        one, other = (input_gradient(net, start, climb)[0].flatten(1) for climb in climbs)
    return float(nn.functional.cosine_similarity(one, other).mean())


def main() -> None:
    """Read the options and print a block for every run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of trained nets")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--n", type=int, default=256, help="test images, the first ones")
    parser.add_argument("--batch", type=int, default=128, help="images that are scattered together")
    parser.add_argument("--eps", type=float, default=8 / 255)
    options = parser.parse_args()
    split = data.first(data.load(options.dataset, options.data_dir).test, options.n)
    x, y = split.x.float() / 255, split.y
    few = slice(0, options.batch)
    for run in options.runs:
        net = vicinal.load(run, device="cpu")
        print(f"{run}: {len(x)} images, eps {options.eps:.4g}")
        for name, z in added(net, x, y, eps=options.eps, batch=options.batch).items():
            right = (z.argmax(1) == y).float().mean()
            print(
                f"  {name:16} cross-entropy {cross_entropy(z, y).mean():7.3f}   right {right:6.1%}"
            )
        print(
            f"  the plan leaves {kept(net, x[few], eps=options.eps):.0%} with the image itself;",
            end=" ",
        )
        print(f"cosine of the gradients {cosine(net, x[few], y[few], eps=options.eps):+.2f}")


if __name__ == "__main__":
    main()
