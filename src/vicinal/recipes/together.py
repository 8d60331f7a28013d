"""Evaluate with as many processes as there are, each its rows of every batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vicinal import engine, evaluation
from vicinal._checks import InputError
from vicinal._typing import Attack, Batch, Model
from vicinal.recipes.loading import Loader, Piece

__all__ = ["check_enough", "evaluate"]


def evaluate(
    model: Model,
    loader: Loader,
    *,
    keys: tuple[int | str, ...],
    attacks: Mapping[str, Attack] | None = None,
    read: Iterable[Batch] | None = None,
    report: Callable[[str, int], None] | None = None,
    threat: evaluation.Threat | None = None,
    ledger: evaluation.Ledger | None = None,
) -> evaluation.Results:
    """Judge a model as `evaluation.evaluate` does; of several processes each judges its rows.

    What one process would draw for a batch is drawn in all of them, and each takes its rows, so
    the verdicts are those of one process to rounding, whatever their number. An attack that goes on
    with some of a batch's images draws for these in each process apart.

    Args:
        model: The model, alike in every process.
        loader: The batches, with the rank and world of this process.
        keys: What the draws are for.
        attacks: Attacks by name.
        read: The loader's batches, where somebody looks on as they are read.
        report: As `evaluation.evaluate` has it, of the own images.
        threat: As `evaluation.evaluate` has it.
        ledger: As `evaluation.evaluate` has it, of the own images.

    Returns:
        The results for all images, in every process.
    """
    team = engine.processes()
    check_enough(loader.split)
    rng = team.generator(*keys)
    batches = engine.counted(loader if read is None else read, loader.sizes, rng)
    own = evaluation.evaluate(
        model, batches, attacks=attacks or {}, rng=rng, report=report, threat=threat, ledger=ledger
    )
    if not team.several:
        return own
    found = team.collect((own, loader.portions))
    return evaluation.merged([part for part, _ in found], [rows for _, rows in found])


def check_enough(split: Piece) -> None:
    """Check that there is an image for every process.

    Args:
        split: The images.

    Raises:
        InputError: If there are fewer images than processes.
    """
    world = engine.processes().world
    if len(split) < world:
        raise InputError(
            f"there must be an image for each of the {world} processes; got "
            f"{len(split)}. Fewer processes?"
        )
