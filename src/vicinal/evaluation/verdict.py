"""The masking verdict: whether what attacks find says anything about a model.

A robust accuracy is an upper bound, as good as the attacks behind it. The verdict runs attacks that
must stand in known relations where gradients lead somewhere, and looks at the model itself: each
check PASS, WARN or FAIL, with its figures. It can find masking; it cannot prove that there is none.

>>> import torch
>>> _ = torch.manual_seed(0)
>>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 4))
>>> x = torch.rand(20, 1, 4, 4)
>>> found = verdict(model, (x, model(x).argmax(dim=1)), eps=0.02)
>>> found.status, found["huge eps"].status, found["gradients against transfer"].status
('PASS', 'PASS', 'SKIP')
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import starmap

import torch

from vicinal._checks import InputError, images, suggest
from vicinal._typing import Attack, Batch, Batches, Model, Norm
from vicinal.attacks import PGD
from vicinal.attacks.nearest import check_radius
from vicinal.evaluation import suspicions, symptoms
from vicinal.evaluation.batches import first
from vicinal.evaluation.check import Check, Status, skipped
from vicinal.evaluation.consistency import Consistency, consistency
from vicinal.evaluation.evaluate import evaluate
from vicinal.evaluation.gradients import InputGradients, input_gradients, instability, slopes
from vicinal.evaluation.identity import keys_of
from vicinal.evaluation.jury import checks_of
from vicinal.evaluation.ledger import Ledger
from vicinal.evaluation.packing import fingerprint, prints
from vicinal.evaluation.preflight import device_of
from vicinal.evaluation.results import CLEAN, Results
from vicinal.evaluation.threat import Threat, about
from vicinal.evaluation.trace import Trace
from vicinal.evaluation.trials import TRIALS, against, radii_of, trials
from vicinal.maths.randomness import integers
from vicinal.records import Record

__all__ = ["VERSION", "Verdict", "verdict"]

VERSION = 5
"""Of the record; it grows when a check's name, figures or thresholds change their meaning."""

_ORDER: tuple[Status, ...] = ("SKIP", "PASS", "WARN", "FAIL")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What all checks found.

    Args:
        threat: The ball in which was searched.
        n: Images.
        checks: One for each alarm.
        results: The verdicts of the attacks behind them, image by image.
        gradients: Input gradients by loss; none where the model has none.
    """

    threat: Threat
    n: int
    checks: tuple[Check, ...]
    results: Results = field(repr=False)
    gradients: Mapping[str, InputGradients] = field(default_factory=dict, repr=False)

    @property
    def status(self) -> Status:
        """The worst of the checks; what could not be looked at does not count.

        Where too few images are right to be attacked, one check is there to warn of it.
        """
        return max((check.status for check in self.checks), key=_ORDER.index)

    def __getitem__(self, name: str) -> Check:
        """Give one check by its name.

        Args:
            name: Such as "huge eps".

        Returns:
            The check.

        Raises:
            InputError: If there is no such check.
        """
        found = {check.name: check for check in self.checks}
        if name not in found:
            raise InputError(f"no check {name!r} in this verdict.{suggest(name, found)}")
        return found[name]

    def of(self, status: Status) -> tuple[Check, ...]:
        """Give the checks of one status.

        Args:
            status: "PASS", "WARN", "FAIL" or "SKIP".

        Returns:
            Those checks, in order.
        """
        return tuple(check for check in self.checks if check.status == status)

    def paragraph(self) -> str:
        """Say it in a paragraph: the count, what failed, what warns, what was not looked at.

        Returns:
            Plain text, one line.
        """
        said = [
            f"Masking verdict: {self.status}. {self._count()}",
            *(
                f"{status}, {check.name}: {check.sentence}"
                for status in ("FAIL", "WARN")
                for check in self.of(status)
                if check is not self._lacking
            ),
        ]
        missing: dict[str, list[str]] = {}
        for check in self.of("SKIP"):
            missing.setdefault(check.sentence, []).append(check.name)
        said += [f"Not looked at, {', '.join(names)}: {why}" for why, names in missing.items()]
        if self.status == "PASS":
            said.append("That finds no sign of masking, which is no proof that there is none.")
        return " ".join(said)

    def _count(self) -> str:
        looked, passed = len(self.checks) - len(self.of("SKIP")), len(self.of("PASS"))
        if self._lacking is None:
            return f"Of {looked} checks on {self.n} images ({self.threat}) {passed} passed."
        much = "Too little" if self._lacking.figures["right"] else "Nothing"
        return (
            f"{much} could be attacked ({self.threat}): {self._lacking.sentence} Of the "
            f"{looked - 1} checks that were possible all the same {passed} passed."
        )

    @property
    def _lacking(self) -> Check | None:
        """The check that warns of too few images to attack."""
        warned = (check for check in self.of("WARN") if check.name == symptoms.ENOUGH)
        return next(warned, None)

    @property
    def record(self) -> Record:
        """The verdict as data, JSON-able."""
        return {
            "kind": "verdict",
            "version": VERSION,
            "status": self.status,
            "threat": str(self.threat),
            "norm": self.threat.norm,
            "eps": self.threat.eps,
            "n": self.n,
            "checks": [check.record for check in self.checks],
            "trials": {name: self._trial(name) for name in self.results},
            "images": self.results.fingerprint,
            "forward": sum(each.forward for each in self.results.verdicts.values()),
            "backward": sum(each.backward for each in self.results.verdicts.values()),
            "seconds": round(sum(each.seconds for each in self.results.verdicts.values()), 3),
            "input_gradients": [found.record for found in self.gradients.values()],
        }

    def _trial(self, name: str) -> Record:
        """Say what a trial was, to the last parameter, and what it left right."""
        said = self.results.verdicts[name].about
        known: Record = {} if said is None else {"parameters": said.parameters}
        source = {} if said is None or said.source is None else {"source": said.source}
        what = TRIALS.get(name, "clean images")
        return {"accuracy": self.results[name], "what": what, **known, **source}


def verdict(
    model: Model,
    data: Batch | Batches,
    *,
    eps: float,
    norm: Norm = "linf",
    n: int = 200,
    source: Model | None = None,
    strongest: Attack | None = None,
    known: Results | None = None,
    rng: torch.Generator | None = None,
    report: Callable[[str, int], None] | None = None,
    ledger: Ledger | None = None,
) -> Verdict:
    """Look for masked gradients, on a few hundred images.

    Args:
        model: Pixels in [0, 1] go in, logits come out; left as it was.
        data: Batches (x, y), or one pair: images (N, C, H, W) in [0, 1] and classes (N,).
        eps: Radius in pixel units, above 0.
        norm: "linf" or "l2".
        n: How many of the first images are looked at.
        source: Another model, trained otherwise, whose adversarial images are tried here too.
        strongest: An attack to stand beside AutoAttack's parts, such as `AutoAttack(eps=eps)`;
            `known` may hold its results as "autoattack".
        known: Results of the trials (see `trials`) on the same images; those are not run again,
            but for attacks of a trial's name with other parameters.
        rng: Where draws come from; torch's global generator when not given.
        report: Called with the attack's name and the number of images after every attacked batch.
        ledger: Where finished batches of the attacks are kept and looked for, as `evaluate` has it;
            `rng` must be given then. What is left is looked at anew: a dozen passes.

    Returns:
        The verdict.

    Raises:
        InputError: If images, labels, logits or the radius are not what they must be.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> layers = torch.nn.Flatten(), torch.nn.Linear(16, 4), torch.nn.Softmax(dim=1)
        >>> model, x = torch.nn.Sequential(*layers), torch.rand(20, 1, 4, 4)
        >>> found = verdict(model, (x, model(x).argmax(dim=1)), eps=0.02)
        >>> [check.name for check in found.of("FAIL")]
        ['logits, not softmax']

    Cost for an image that nothing breaks, `verdict_passes`: about 1,900 forward and 800 backward
    passes, of which Square takes 1,000 and APGD 500 and 500. Images leave once they are broken.
    """
    check_radius(eps, norm, unbounded=False)
    if eps == 0:
        raise InputError("`eps` must be above 0: there is nothing to search in a ball of radius 0.")
    chosen = first(data, n)
    draws = _generator(rng)
    nature = consistency(model, chosen)
    smooth = not nature.undifferentiable
    built = trials(
        eps=eps,
        norm=norm,
        source=source,
        strongest=strongest,
        pixels=images(chosen[0][0])[0].numel(),
        gradients=smooth,
    )
    results = _run(model, chosen, built, known=known, rng=draws, report=report, ledger=ledger)
    gradients = input_gradients(model, chosen) if smooth else {}
    shaken = instability(model, chosen, eps=eps / 4, norm=norm, rng=draws)["margin"]
    checks = checks_of(
        results,
        nature,
        radii=radii_of(eps, norm),
        gradients=gradients,
        shaken=float(shaken.median()),
        rises=slopes(model, chosen, eps=eps, norm=norm, rng=draws) if smooth else None,
    )
    threat, checks = Threat(norm=norm, eps=eps), _weighed(checks, results, nature)
    return Verdict(threat=threat, n=nature.n, checks=checks, results=results, gradients=gradients)


def _weighed(checks: tuple[Check, ...], results: Results, nature: Consistency) -> tuple[Check, ...]:
    """Name what was run, take back what rests on nothing, and say what that was."""
    right = int(results.verdicts[CLEAN].correct.sum())
    told = [_told(check, *against(results.verdicts)) for check in checks]
    return (
        *suspicions.unfounded(told, right=right, needed=symptoms.NEEDED),
        _same_function(nature),
        symptoms.few_right(right, n=nature.n),
    )


def _told(check: Check, name: str, words: str) -> Check:
    """Let the check against AutoAttack say whether there was one."""
    if check.name != "PGD against AutoAttack":
        return check
    sentence = check.sentence.replace("with AutoAttack's parts", words)
    return replace(check, name=f"PGD against {name}", sentence=sentence)


def _same_function(nature: Consistency) -> Check:
    if nature.changed == 0 and nature.difference <= symptoms.RANDOM_WARN:
        return symptoms.with_gradient(nature.with_gradient)
    why = "The model draws at random: no two passes agree."
    return skipped("same logits with a gradient", why)


def _generator(rng: torch.Generator | None) -> torch.Generator:
    """Make a generator that every attack can begin with alike, from one draw of the caller's."""
    seed = integers(1, high=2**31 - 1, like=torch.zeros(1), rng=rng)
    return torch.Generator().manual_seed(int(seed))


def _run(
    model: Model,
    data: list[Batch],
    built: Mapping[str, Attack],
    *,
    known: Results | None,
    rng: torch.Generator,
    report: Callable[[str, int], None] | None,
    ledger: Ledger | None,
) -> Results:
    there = {} if known is None else {k: v for k, v in known.verdicts.items() if k in built}
    said = {name: about(built[name], device=device_of(model)) for name in there}
    there = {k: v for k, v in there.items() if v.about is None or v.about == said[k]}
    size = sum(len(x) for x, _ in data)
    for name, one in there.items():
        if len(one.correct) != size:
            raise InputError(
                f"`known` must be of the same {size} images; got {len(one.correct)} for {name!r}."
            )
    told = None if known is None or not there else known.fingerprint
    if told is not None and told != fingerprint(torch.cat(list(starmap(prints, data)))):
        raise InputError("`known` must be of the same images; got others, or another order.")
    left = {k: _followed(k, attack) for k, attack in built.items() if k not in there}
    if ledger is not None:
        ledger = replace(ledger, keys=keys_of(left, device=device_of(model)))
    with warnings.catch_warnings():
        # Probabilities in place of logits are a check of the verdict.
        warnings.filterwarnings("ignore", message="the model returns probabilities")
        run = evaluate(model, data, attacks=left, rng=rng, report=report, ledger=ledger)
    found = dict(run.verdicts)
    for name in left:
        if left[name] is not built[name]:
            # Followed or not, it is the same search, and may be `known` the next time.
            own = about(built[name], device=device_of(model))
            found[name] = replace(found[name], about=own)
    return Results(verdicts={**found, **there})


def _followed(name: str, attack: Attack) -> Attack:
    """Follow the one search step by step whose end is judged; it costs no pass."""
    return Trace(attack) if name == "pgd last" and isinstance(attack, PGD) else attack
