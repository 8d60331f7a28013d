"""What `vicinal evaluate` judges, and by what: a run or a foreign model, attacks or a suite."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal._errors import InputError
from vicinal.cli.ball import attacks_of, eps_of, threat_of
from vicinal.cli.chosen import check_chosen, only, within

if TYPE_CHECKING:
    from torch import nn

    from vicinal._typing import Attack
    from vicinal.evaluation.costs import Pace
    from vicinal.evaluation.suites import Suite
    from vicinal.recipes.extras import Extras
    from vicinal.recipes.job import Job

__all__ = ["folder_of", "job_of", "pace_on", "seconds_of"]

_UNITS = {"s": 1, "min": 60, "h": 3600}


def folder_of(args: argparse.Namespace) -> Path:
    """Tell where the records go.

    Args:
        args: The parsed arguments.

    Returns:
        --out, by default the run folder; for a foreign model runs/<model>-<dataset>.

    Raises:
        InputError: If neither RUN nor --model is given, or both are, or a model has no data set.
    """
    if (args.run_dir is None) == (args.model is None):
        raise InputError("give either a run folder or --model, which names a model of your own.")
    if args.model is None:
        for option in ("weights", "dataset", "size", "batch_size"):
            if getattr(args, option) is not None:
                word = option.replace("_", "-")
                raise InputError(f"--{word} goes with --model; a run folder knows its own.")
        return Path(args.run_dir if args.out is None else args.out)
    if args.dataset is None:
        raise InputError(
            "--model must come with --dataset, whose test images are judged. `vicinal list "
            "datasets` names them."
        )
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", f"{args.model}-{args.dataset}").strip("-")
    return Path(args.out) if args.out is not None else Path("runs") / name


def job_of(args: argparse.Namespace) -> tuple[Job, Suite | None, Extras | None]:
    """Lay out the evaluation that the arguments ask for.

    Args:
        args: The parsed arguments.

    Returns:
        The job, the suite that its attacks are of, and what else it looks at, where there is any.
    """
    from vicinal.evaluation.identity import state_of
    from vicinal.evaluation.robustbench import check_once
    from vicinal.evaluation.threat import parameters
    from vicinal.recipes import judge
    from vicinal.recipes.device import pick_device

    check_chosen(args)
    where = pick_device(args.device).type
    named = attacks_of(args, device=where)
    if args.model is None:
        job = judge.job_of(
            args.run_dir,
            named,
            n=args.n,
            data_dir=args.data_dir,
            device=where,
            seed=args.seed or 0,
            threat=threat_of(args),
            adversarial=_path(args.save_adversarial),
            command=_command(args),
        )
        job = replace(job, folder=folder_of(args))
    else:
        job = _foreign(args, named, device=where)
    job = _of_few(args, job)
    job = replace(job, facts={**job.facts, "state": state_of(job.model)})
    _check_folder(args, job)
    source = _source(args, device=where)
    job, chosen = _with_suite(args, job, source)
    extras = _extras(args, job, source)
    if args.robustbench is not None:
        check_once({"parameters": parameters(attack)} for attack in job.attacks.values())
    return (job if extras is None else replace(job, extras=extras.wanted)), chosen, extras


def _of_few(args: argparse.Namespace, job: Job) -> Job:
    """Leave of the clean images those of --clean-n, which the attacked ones are among."""
    from vicinal import data

    if args.clean_n is None:
        return job
    n, least, of = args.clean_n, len(job.few), len(job.whole)
    if n < least:
        raise InputError(
            f"`--clean-n` must be at least {least}, the images that are attacked; got {n}. "
            f"Give --n {max(n, 1)} too?"
        )
    return replace(job, whole=data.first(job.whole, min(n, of)), facts={**job.facts, "of": of})


_PLAIN = ("recipe", "method", "objective", "scale", "train_seed", "model", "weights")
_MODEL = {**dict(zip(_PLAIN, _PLAIN, strict=True)), "state": "digest of its weights"}
"""What says in a record which model it is about, and in a sentence."""


def _check_folder(args: argparse.Namespace, job: Job) -> None:
    """Refuse to put the records of a model beside those of another."""
    from vicinal import records
    from vicinal.recipes.job import RESULTS

    file = job.folder / RESULTS
    if job.folder == _path(args.run_dir) or not file.is_file():
        return
    for there in records.read(file):
        known = there if there.get("kind") == "evaluation" else {}
        for key, word in _MODEL.items():
            if key in known and known[key] != job.facts.get(key):
                raise InputError(
                    f"`--out` must be a folder of its own for each model; {job.folder} holds "
                    f"records of one with another {word}: {known[key]}, not "
                    f"{job.facts.get(key)}. Did you mean another --out?{_unseeded(key, args)}"
                )


def _unseeded(key: str, args: argparse.Namespace) -> str:
    """Say what makes two nets of one word."""
    if key != "state" or args.model is None or args.weights is not None:
        return ""
    return " A factory that draws its weights gives another net every time."


def _foreign(args: argparse.Namespace, named: dict[str, Attack], *, device: str) -> Job:
    from vicinal.cli.importing import foreign_model
    from vicinal.recipes import foreign

    weights = _path(args.weights)
    foreign.arguments_of(args.model)
    return foreign.job_of(
        foreign_model(args.model, weights=weights),
        name=args.model,
        dataset=args.dataset,
        folder=folder_of(args),
        data_dir=_path(args.data_dir),
        n=args.n,
        size=args.size,
        batch_size=args.batch_size or foreign.BATCH,
        weights=weights,
        attacks=named,
        device=device,
        seed=args.seed or 0,
        threat=threat_of(args),
        adversarial=_path(args.save_adversarial),
        command=_command(args),
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _source(args: argparse.Namespace, *, device: str) -> nn.Module | None:
    """Load the net of --source, whose adversarial images are tried on the one that is judged."""
    from vicinal.recipes.run import load

    if args.source is None:
        return None
    if args.suite is None and not (args.verdict or args.strict):
        raise InputError(
            "--source goes with --suite or --verdict; an attack names its own: "
            "--attack 'transfer(source=\"OTHER_RUN\", attack=pgd)'."
        )
    if args.run_dir is not None and Path(args.source).resolve() == Path(args.run_dir).resolve():
        raise InputError(
            f"`--source` must be another net than the one that is judged; got {args.source}."
        )
    return load(args.source, device=device)


def _with_suite(
    args: argparse.Namespace, job: Job, source: nn.Module | None
) -> tuple[Job, Suite | None]:
    """Add the attacks of --suite: those of --only, or those that --budget has room for."""
    from vicinal.evaluation.suites import suite

    if args.suite is None:
        return job, None
    eps = eps_of(args)
    if eps is None and args.suite != "papers" and args.model is None:
        eps = _recipe_eps(args)
    classes = job.num_classes or 10
    chosen = suite(args.suite, eps=eps, norm=args.norm, source=source, num_classes=classes)
    if args.only is not None:
        chosen = only(chosen, args.only.split(","))
    if args.budget is not None:
        chosen, told = within(job, chosen, seconds_of(args.budget), pace=pace_on)
        facts = {**job.facts, "command": _command(args, taken=chosen.attacks)}
        job = replace(job, facts=facts, suite=told)
    attacks = {**job.attacks, **chosen.attacks}
    return replace(job, attacks=attacks), chosen


def _extras(args: argparse.Namespace, job: Job, source: nn.Module | None) -> Extras | None:
    """Read --verdict, --curve, --gradients; the ball is --eps's, the attacks' or the recipe's."""
    from vicinal.evaluation.threat import prevailing, threat_of
    from vicinal.recipes.extras import Extras

    judging = args.verdict or args.strict
    if not (judging or args.curve or args.gradients):
        return None
    eps, norm = eps_of(args), args.norm
    shared = prevailing(threat_of(attack) for attack in job.attacks.values())
    if eps is None and shared is not None and isinstance(shared.eps, float):
        eps, norm = shared.eps, shared.norm
    if eps is None and args.model is None:
        eps = _recipe_eps(args)
    if eps is None:
        raise InputError("--verdict and --curve must be given --eps, such as --eps 8/255.")
    return Extras(
        eps=eps,
        norm=norm,
        verdict=judging,
        curves=args.curve or (),
        gradients=args.gradients,
        source=source,
        progress=not args.json,
    )


def _recipe_eps(args: argparse.Namespace) -> float:
    from vicinal import recipes

    return recipes.read(Path(args.run_dir) / "recipe.yaml").evaluation.eps


def pace_on(job: Job) -> Pace:
    """Measure the passes of a job's model on its first batch.

    Args:
        job: The job; nothing of it is done.

    Returns:
        Seconds per image and pass.
    """
    from vicinal.evaluation.costs import pace_of
    from vicinal.evaluation.preflight import asked, device_of

    x, y = next(iter(job.batches(job.few)))
    where = device_of(job.model)
    x, y = x.to(where), y.to(where)
    asked(job.model, x[:1])
    return pace_of(job.model, x, y)


def seconds_of(text: str) -> float:
    """Read a time such as 10min.

    Args:
        text: A number and s, min or h.

    Returns:
        Seconds.

    Raises:
        InputError: If it is none.

    Example:
        >>> seconds_of("10min"), seconds_of("1.5h")
        (600.0, 5400.0)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", text)
    if match is None or float(match[1]) <= 0:
        raise InputError(f"`--budget` must be a time such as 30s, 10min or 2h; got {text!r}.")
    return float(match[1]) * _UNITS[match[2]]


def _command(args: argparse.Namespace, *, taken: Iterable[str] = ()) -> str:
    """Write the command that repeats it: as typed, and what was left to chance or the machine."""
    import torch

    words = ["vicinal", *args.words]
    if names := ",".join(taken):
        # What fits a time is another choice at another call.
        at = next(k for k, word in enumerate(words) if word.partition("=")[0] == "--budget")
        words[at : at + (1 if "=" in words[at] else 2)] = ["--only", names]
    plain = {word.partition("=")[0] for word in args.words}
    settled = {"--seed": args.seed or 0, "--threads": torch.get_num_threads()}
    for option, value in settled.items():
        if option not in plain:
            words += [option, str(value)]
    return shlex.join(words)
