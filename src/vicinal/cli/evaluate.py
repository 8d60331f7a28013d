"""`vicinal evaluate`: a model, clean and under attacks, as a table and as records."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal._errors import InputError
from vicinal.cli import corruptions, dry_run
from vicinal.cli.dry_run import add_dry_run
from vicinal.cli.fetching import add_data, fetched
from vicinal.cli.options import add_common, check_common, default_threads

if TYPE_CHECKING:
    from vicinal.evaluation.suites import Suite
    from vicinal.recipes.corrupted import Ask
    from vicinal.recipes.extras import Extras
    from vicinal.recipes.job import Report
    from vicinal.records import Record

__all__ = ["add_parser"]

_EPILOG = """examples:
  vicinal evaluate RUN
  vicinal evaluate RUN --attack fgsm --attack pgd
  vicinal evaluate RUN --attack 'pgd(eps=4/255, step_size=1/255, steps=10)' --n 2000
  vicinal evaluate RUN --attack 'pgd(eps=inf, step_size=0.01, steps=200, random_start=False)'
  vicinal evaluate RUN --attack 'transfer(source="OTHER_RUN", attack=pgd)'
  vicinal evaluate RUN --attack fgsm --per-class
  vicinal evaluate RUN --suite standard --eps 8/255 --n 1000 --budget 10min --verdict
  vicinal evaluate RUN --attack pgd --n 1000 --clean-n 1000
  vicinal evaluate RUN --suite standard --eps 8/255 --verdict --source OTHER_RUN
  vicinal evaluate RUN --corruptions all
  vicinal evaluate RUN --corruptions fog,snow --severities 1,3,5 --n 1000
  vicinal evaluate RUN --corruptions all --n 1000 --baseline OTHER_RUN
  vicinal evaluate RUN --suite full --eps 8/255 --robustbench entry.json --save-adversarial DIR
  vicinal evaluate --model package.module:factory --weights FILE.safetensors --dataset cifar10 \\
      --data-dir DIR --attack 'pgd(eps=8/255, step_size=2/255, steps=20)' --out OUT
  vicinal evaluate --model timm/resnet18 --weights FILE.safetensors --dataset imagenet \\
      --data-dir DIR --suite standard --eps 4/255 --n 1000
  torchrun --nproc-per-node 2 -m -- vicinal evaluate RUN --attack pgd --n 2000

Budgets are in the unit of the pixels, which lie in [0, 1]: 8/255 is 8 grey levels. What an
attack leaves out of eps, step_size and steps is that of the run's recipe, or of --eps: 20 steps of
a quarter of it. `vicinal list attacks` names the attacks and their arguments. The clean error is
over all test images, or those of --clean-n, and so are the top-5 error, where there are more than
five classes, and the calibration error (ECE, 15 bins). Intervals are Wilson's, at 95 %. R is the
accuracy over the clean accuracy of the same images. The worst case counts the attacks of one threat
model.

Ctrl-C, or a power cut, loses nothing but the batch in progress: the same command goes on where it
stopped. Records are appended to RUN/results.jsonl, or OUT/results.jsonl, once, when everything is
done. A run folder that may only be read is judged into --out.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand.

    Args:
        subparsers: Where to add it.
    """
    parser = subparsers.add_parser(
        "evaluate",
        help="measure the clean and the attacked error of a run, or of a model of your own",
        description="Measure the error of a model on clean test images and under attacks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "run_dir", nargs="?", metavar="RUN", help="the run folder that `vicinal train` made"
    )
    _add_attacks(parser)
    _add_looks(parser)
    corruptions.add_corruptions(parser)
    _add_model(parser)
    _add_output(parser)
    add_data(parser)
    add_dry_run(parser, tells="passes and minutes")
    add_common(parser, threads="the run's")
    parser.set_defaults(run=run, shared=True)


def _add_attacks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--attack", action="append", default=[], metavar="ATTACK", help="may be given several times"
    )
    parser.add_argument(
        "--n", type=int, metavar="N", help="attack the first N test images (default: the recipe's)"
    )
    parser.add_argument(
        "--clean-n",
        type=int,
        metavar="N",
        help="ask for the clean error of the first N test images, not fewer than those attacked "
        "(default: all)",
    )
    parser.add_argument(
        "--eps",
        metavar="EPS",
        help="the threat model's radius, such as 8/255, for suites and for attacks that name none",
    )
    parser.add_argument(
        "--norm",
        choices=("linf", "l2"),
        default="linf",
        help="its norm (default: linf); l2 must come with --eps",
    )
    parser.add_argument(
        "--suite",
        choices=("papers", "standard", "full"),
        help="attacks by the dozen: each paper's own, strong ones in minutes, or all",
    )
    parser.add_argument(
        "--budget",
        metavar="TIME",
        help="take of the suite what fits, such as 10min; clean images, --attack and --verdict "
        "are not in it",
    )
    parser.add_argument(
        "--only", metavar="NAMES", help="take of the suite these, such as pgd-20,fgsm"
    )


def _add_looks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        metavar="RUN",
        help="another net, a run folder: suite and verdict try its adversarial images here too",
    )
    parser.add_argument(
        "--verdict", action="store_true", help="look for masked gradients, on 200 images"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="the verdict too, and exit 1 where it is FAIL or had too few images",
    )
    parser.add_argument(
        "--curve",
        action="append",
        choices=("eps", "steps", "restarts"),
        help="accuracy against the strength of PGD; may be given several times",
    )
    parser.add_argument(
        "--gradients", action="store_true", help="norms of the input gradients (BAT, table 2)"
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a model of your own, in place of RUN")
    group.add_argument(
        "--model",
        metavar="MODEL",
        help="package.module:factory, torchvision/NAME or timm/NAME; "
        "pixels in [0, 1] go in, logits come out",
    )
    group.add_argument("--weights", metavar="FILE", help="its weights, a safetensors file")
    group.add_argument("--dataset", metavar="NAME", help="whose test images are judged")
    group.add_argument(
        "--size", type=int, metavar="PX", help="side of the images of a set in files"
    )
    group.add_argument(
        "--batch-size", type=int, metavar="N", help="images at a time (default: 128)"
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", help="where records go (default: RUN, or runs/MODEL-DATASET)"
    )
    parser.add_argument(
        "--per-class", action="store_true", help="also show the accuracy of each class"
    )
    parser.add_argument(
        "--save-adversarial", metavar="DIR", help="keep every attack's images, float32 safetensors"
    )
    parser.add_argument(
        "--robustbench", metavar="FILE", help="also write a RobustBench entry (needs autoattack)"
    )
    parser.add_argument(
        "--additional-data", action="store_true", help="say there that more data was trained on"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate.

    Args:
        args: The parsed arguments.

    Returns:
        0; under --strict 1 where the verdict is FAIL, or had too few images to clear the model.
    """
    check_common(args)
    from vicinal import _checks
    from vicinal.cli.ball import eps_of
    from vicinal.cli.judged import folder_of
    from vicinal.cli.telling import tell
    from vicinal.evaluation.robustbench import robustbench
    from vicinal.recipes import recorded_threads
    from vicinal.records import line, write_text

    if args.n is not None:
        _checks.count("n", args.n)
    eps_of(args)
    folder = folder_of(args)
    home = folder if args.run_dir is None else Path(args.run_dir)
    default_threads(args, None if args.run_dir is None else recorded_threads(home))
    ask = corruptions.ask_of(args)
    if args.dry_run:
        return _dry_run(args, ask)
    work = partial(_work, args, ask)
    report, chosen, extras = fetched(work, args, folder=home, dataset=args.dataset)
    if args.robustbench is not None:
        entry = robustbench(_evaluations(report), additional_data=args.additional_data)
        write_text(Path(args.robustbench), json.dumps(entry, indent=2) + "\n")
    if args.json:
        for record in report.records:
            print(line(record))
    else:
        tell(report, chosen, extras, per_class=args.per_class)
        if ask is not None:
            corruptions.tell(report.records, folder)
        print(f"records: {folder}/results.jsonl")
    return 1 if args.strict and _failed(report) else 0


def _work(args: argparse.Namespace, ask: Ask | None) -> tuple[Report, Suite | None, Extras | None]:
    from vicinal.cli.judged import job_of
    from vicinal.evaluation.preflight import TooFewOutputs
    from vicinal.recipes import job

    whole, chosen, extras = job_of(args)
    if ask is not None:
        shown, where = not args.json, args.data_dir
        look = corruptions.Look(ask=ask, run=args.run_dir, data_dir=where, progress=shown)
        whole = replace(whole, after=look.judge)
    try:
        return job.run(whole, progress=not args.json), chosen, extras
    except TooFewOutputs as error:
        raise InputError(
            f"{whole.facts['dataset']} has {error.classes} classes; the model has {error.outputs} "
            "outputs. Another data set, or another model?"
        ) from None


def _dry_run(args: argparse.Namespace, ask: Ask | None) -> int:
    from vicinal.cli.judging_cost import judging

    more = (args.model, args.suite, args.eps, ask, args.curve, args.clean_n)
    if any(one is not None for one in more) or args.verdict or args.strict or args.gradients:
        return judging(args, ask)
    return dry_run.evaluation(args)


def _evaluations(report: Report) -> list[Record]:
    return [record for record in report.records if record["kind"] == "evaluation"]


def _failed(report: Report) -> bool:
    """Tell whether a verdict convicts, or had too few images to clear."""
    from vicinal.evaluation.symptoms import ENOUGH

    verdicts = [record for record in report.records if record["kind"] == "verdict"]
    checks = [check for record in verdicts for check in record["checks"]]
    untested = any(check["name"] == ENOUGH and check["status"] != "PASS" for check in checks)
    return untested or "FAIL" in {record["status"] for record in verdicts}
