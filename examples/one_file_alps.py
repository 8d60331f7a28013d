"""ALPS beside ERM in a training loop of your own: 1,297 handwritten digits, seconds on one core.

    python examples/one_file_alps.py

Prints test error on clean images, under FGSM and under PGD-10 (eps 0.1) for both. The two runs
differ by one line, the objective. Images ship with scikit-learn, so nothing is downloaded.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from vicinal import attacks, evaluate, models, objectives


def read_digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return training and test images (N, 1, 8, 8) in [0, 1] with their classes."""
    digits = load_digits()
    x = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    y = torch.tensor(digits.target)
    return (x[:1297], y[:1297]), (x[1297:], y[1297:])


def train(objective: objectives.Objective, *, seed: int, epochs: int) -> nn.Module:
    """Train one net: a loop as anybody's, but for the line that computes the loss."""
    torch.manual_seed(seed)
    (x, y), _ = read_digits()
    model = models.digits_net(num_classes=10, mean=[x.mean().item()], std=[x.std().item()])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    batches = len(x) // 64
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=epochs * batches, pct_start=0.15
    )
    for _ in range(epochs):
        for batch in torch.randperm(len(x))[: batches * 64].view(batches, 64):
            loss = objective(model, x[batch], y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model


def main() -> None:
    """Train both, attack both, print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    _, test = read_digits()
    suite = {
        "FGSM": attacks.FGSM(eps=0.1),
        "PGD-10": attacks.PGD(eps=0.1, step_size=0.025, steps=10),
    }
    for objective in (objectives.ERM(), objectives.ALPS(eps=0.2, mode=0.9)):
        model = train(objective, seed=options.seed, epochs=options.epochs)
        results = evaluate(model, test, attacks=suite)
        errors = ", ".join(f"{name} {100 * (1 - results[name]):.1f} %" for name in results)
        print(f"{type(objective).__name__:5} test error: {errors}")


if __name__ == "__main__":
    main()
