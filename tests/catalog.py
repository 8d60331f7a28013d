"""One entry per public object: an instance, the laws it claims, its bounds and its cost.

Costs are hard numbers, forward and backward passes over the batch: those of objectives are the
table of the method (the update's own pass included), those of moves and attacks follow from it.
An object that is public but missing here fails the suite.
"""

# ruff: file-ignore[line-too-long]
from __future__ import annotations

import math
from dataclasses import dataclass, field

import nets
from vicinal import attacks, inputs, labels, objectives
from vicinal._typing import Attack, Objective


def _name(instance: object) -> str:
    text = repr(instance).replace(" ", "").replace("'", "")
    return text if len(text) <= 90 else text[:87] + "..."


@dataclass(frozen=True, kw_only=True)
class ObjectiveEntry:
    """An objective; `erm` are the instances of no strength with the multiple of ERM they are."""

    instance: Objective
    passes: tuple[int, int]
    erm: tuple[tuple[Objective, float], ...]
    partners: bool = False  # mixes images, so a batch is more than its images
    draws: bool = False  # two seeds give two values

    @property
    def name(self) -> str:
        return _name(self.instance)


@dataclass(frozen=True, kw_only=True)
class LabelEntry:
    """A label move; `identity` is its instance of no strength."""

    instance: labels.LabelMove
    at: str | None
    identity: labels.LabelMove
    mixes: bool = False

    @property
    def name(self) -> str:
        return _name(self.instance)


@dataclass(frozen=True, kw_only=True)
class InputEntry:
    """An input move; `eps` is its ball, None where it has none."""

    instance: inputs.InputMove
    passes: tuple[int, int]
    identity: inputs.InputMove
    eps: float | None = None
    norm: str = "linf"
    partners: bool = False
    draws: bool = False
    unit_range: bool = True  # images stay in [0, 1]

    @property
    def name(self) -> str:
        return _name(self.instance)


@dataclass(frozen=True, kw_only=True)
class AttackEntry:
    """An attack; `eps` is its ball, `identity` its instance of no budget."""

    instance: Attack
    passes: tuple[int, int]
    identity: Attack
    eps: float
    norm: str = "linf"
    draws: bool = False

    @property
    def name(self) -> str:
        return _name(self.instance)


@dataclass(frozen=True, kw_only=True)
class Twins:
    """Two ways to write one objective: the same draw, the same loss."""

    name: str
    one: Objective
    other: Objective
    same_bits: bool = field(default=False)


ERM = objectives.ERM
LS = objectives.LabelSmoothing
NOISE = objectives.GaussianVicinity
MIXUP = objectives.MixUp
CUTMIX = objectives.CutMix
MANIFOLD = objectives.ManifoldMixUp
ALPS = objectives.ALPS
VICINAL = objectives.Vicinal
EPS = 8 / 255

FGSM_AT = inputs.FGSM(eps=EPS)
PGD_AT = inputs.PGD(eps=EPS, step_size=2 / 255, steps=3)
PGD_AT_0 = inputs.PGD(eps=0.0, step_size=0.0, steps=3)
R_LL = inputs.PGD(eps=EPS, step_size=EPS, steps=1, target="least_likely")
R_LL_0 = inputs.PGD(eps=0.0, step_size=0.0, steps=1, target="least_likely")
R_MC_2 = inputs.PGD(eps=EPS, step_size=EPS / 2, steps=2, target="most_confusing")
R_MC_2_0 = inputs.PGD(eps=0.0, step_size=0.0, steps=2, target="most_confusing")
L2_AT = inputs.PGD(eps=0.5, step_size=0.2, steps=2, norm="l2", random_start=False, loss="margin")
NEAR = inputs.Interpolate(mode=0.9, concentration=12.0)
NEAR_0 = inputs.Interpolate(mode=1.0, concentration=math.inf)
SHIFT, SHIFT_0 = labels.LeastLikelyShift(eps=0.3), labels.LeastLikelyShift(eps=0.0)

# fmt: off
OBJECTIVES = [
    ObjectiveEntry(instance=ERM(), passes=(1, 1), erm=((ERM(), 1.0),)),
    ObjectiveEntry(instance=LS(eps=0.1), passes=(1, 1), erm=((LS(eps=0.0), 1.0),)),
    ObjectiveEntry(instance=LS(eps=0.1, convention="uniform"), passes=(1, 1), erm=((LS(eps=0.0, convention="uniform"), 1.0),)),
    ObjectiveEntry(instance=NOISE(sigma=0.1), passes=(1, 1), erm=((NOISE(sigma=0.0), 1.0),), draws=True),
    ObjectiveEntry(instance=NOISE(sigma=0.1, clip=False), passes=(1, 1), erm=((NOISE(sigma=0.0, clip=False), 1.0),), draws=True),
    ObjectiveEntry(instance=MIXUP(alpha=1.0), passes=(1, 1), erm=((MIXUP(alpha=0.0), 1.0),), partners=True, draws=True),
    ObjectiveEntry(instance=MIXUP(alpha=0.4, per_sample=True), passes=(1, 1), erm=((MIXUP(alpha=0.0, per_sample=True), 1.0),), partners=True, draws=True),
    ObjectiveEntry(instance=CUTMIX(alpha=1.0), passes=(1, 1), erm=((CUTMIX(alpha=0.0), 1.0),), partners=True, draws=True),
    ObjectiveEntry(instance=CUTMIX(alpha=0.4, per_sample=True), passes=(1, 1), erm=((CUTMIX(alpha=0.0, per_sample=True), 1.0),), partners=True, draws=True),
    ObjectiveEntry(instance=MANIFOLD(alpha=2.0, layers=("input", "2")), passes=(1, 1), erm=((MANIFOLD(alpha=0.0, layers=("input", "2")), 1.0),), partners=True, draws=True),
    ObjectiveEntry(instance=MANIFOLD(alpha=0.5, layers=("2",)), passes=(1, 1), erm=((MANIFOLD(alpha=0.0, layers=("2",)), 1.0),), partners=True, draws=True),
    ObjectiveEntry(instance=ALPS(eps=0.2, mode=0.9, concentration=12.0), passes=(1, 1), erm=((ALPS(eps=0.0, mode=1.0, concentration=math.inf), 1.0),), partners=True, draws=True),
    ObjectiveEntry(instance=ALPS.from_beta(a=8.0, b=2.0, eps=2.0), passes=(1, 1), erm=(), partners=True, draws=True),
    # the controls: the label's half of ALPS alone, and the image's half alone
    ObjectiveEntry(instance=VICINAL(labels=SHIFT), passes=(1, 1), erm=((VICINAL(), 1.0), (VICINAL(labels=SHIFT_0), 1.0))),
    ObjectiveEntry(instance=VICINAL(inputs=NEAR), passes=(1, 1), erm=((VICINAL(inputs=NEAR_0), 1.0),), partners=True, draws=True),
    # old words, new sentences
    ObjectiveEntry(instance=VICINAL(inputs=inputs.GaussianNoise(sigma=0.1), labels=labels.Smooth(eps=0.2)), passes=(1, 1), erm=((VICINAL(inputs=inputs.GaussianNoise(sigma=0.0), labels=labels.Smooth(eps=0.0)), 1.0),), draws=True),
    # FGSM training, PGD-3 training, R-LL and R-MC with two steps: n+1 each, and one clean forward for a target
    ObjectiveEntry(instance=VICINAL(inputs=FGSM_AT), passes=(2, 2), erm=((VICINAL(inputs=inputs.FGSM(eps=0.0)), 1.0),)),
    ObjectiveEntry(instance=VICINAL(inputs=PGD_AT, labels=SHIFT), passes=(4, 4), erm=((VICINAL(inputs=PGD_AT_0, labels=SHIFT_0), 1.0),), draws=True),
    ObjectiveEntry(instance=VICINAL(inputs=R_LL), passes=(3, 2), erm=((VICINAL(inputs=R_LL_0), 1.0),), draws=True),
    ObjectiveEntry(instance=VICINAL(inputs=R_MC_2, labels=labels.SmoothUniform(eps=0.5)), passes=(4, 3), erm=((VICINAL(inputs=R_MC_2_0, labels=labels.SmoothUniform(eps=0.0)), 1.0),), draws=True),
    ObjectiveEntry(instance=VICINAL(inputs=L2_AT), passes=(3, 3), erm=()),
]

TWINS = [
    Twins(name="MixUp", one=MIXUP(alpha=0.7), other=VICINAL(inputs=inputs.MixUp(alpha=0.7), labels=labels.Mixing()), same_bits=True),
    Twins(name="MixUp per sample", one=MIXUP(alpha=0.7, per_sample=True), other=VICINAL(inputs=inputs.MixUp(alpha=0.7, per_sample=True), labels=labels.Mixing()), same_bits=True),
    Twins(name="CutMix", one=CUTMIX(alpha=0.7), other=VICINAL(inputs=inputs.CutMix(alpha=0.7), labels=labels.Mixing()), same_bits=True),
    Twins(name="CutMix per sample", one=CUTMIX(alpha=0.7, per_sample=True), other=VICINAL(inputs=inputs.CutMix(alpha=0.7, per_sample=True), labels=labels.Mixing()), same_bits=True),
    Twins(name="ManifoldMixUp at the input", one=MANIFOLD(alpha=0.7, layers=("input",)), other=MIXUP(alpha=0.7), same_bits=True),
    Twins(name="ALPS", one=ALPS(eps=0.3, mode=0.8, concentration=9.0), other=VICINAL(inputs=inputs.Interpolate(mode=0.8, concentration=9.0), labels=SHIFT)),
    Twins(name="ALPS, label only", one=ALPS(eps=0.3, mode=1.0, concentration=math.inf), other=VICINAL(labels=SHIFT)),
    Twins(name="ALPS, image only", one=ALPS(eps=0.0, mode=0.9), other=VICINAL(inputs=NEAR)),
    Twins(name="ALPS by (a, b)", one=ALPS.from_beta(a=10.0, b=2.0), other=ALPS(eps=0.2, mode=0.9, concentration=12.0), same_bits=True),
    Twins(name="label smoothing", one=LS(eps=0.1), other=VICINAL(labels=labels.Smooth(eps=0.1)), same_bits=True),
    Twins(name="label smoothing, uniform", one=LS(eps=0.1, convention="uniform"), other=VICINAL(labels=labels.SmoothUniform(eps=0.1)), same_bits=True),
    Twins(name="Gaussian vicinity", one=NOISE(sigma=0.2), other=VICINAL(inputs=inputs.GaussianNoise(sigma=0.2)), same_bits=True),
]

LABELS = [
    LabelEntry(instance=labels.Keep(), at=None, identity=labels.Keep()),
    LabelEntry(instance=labels.Smooth(eps=0.1), at=None, identity=labels.Smooth(eps=0.0)),
    LabelEntry(instance=labels.Smooth(eps=1.0), at=None, identity=labels.Smooth(eps=0.0)),
    LabelEntry(instance=labels.SmoothUniform(eps=0.1), at=None, identity=labels.SmoothUniform(eps=0.0)),
    LabelEntry(instance=labels.LeastLikelyShift(eps=0.2), at="neighbour", identity=SHIFT_0),
    LabelEntry(instance=labels.LeastLikelyShift(eps=2.0), at="neighbour", identity=SHIFT_0),
    LabelEntry(instance=labels.Mixing(), at=None, identity=labels.Mixing(), mixes=True),
]

INPUTS = [
    InputEntry(instance=inputs.Keep(), passes=(0, 0), identity=inputs.Keep(), eps=0.0),
    InputEntry(instance=inputs.GaussianNoise(sigma=0.3), passes=(0, 0), identity=inputs.GaussianNoise(sigma=0.0), draws=True),
    InputEntry(instance=inputs.GaussianNoise(sigma=0.3, clip=False), passes=(0, 0), identity=inputs.GaussianNoise(sigma=0.0, clip=False), draws=True, unit_range=False),
    InputEntry(instance=inputs.MixUp(alpha=1.0), passes=(0, 0), identity=inputs.MixUp(alpha=0.0), partners=True, draws=True),
    InputEntry(instance=inputs.MixUp(alpha=0.4, per_sample=True), passes=(0, 0), identity=inputs.MixUp(alpha=0.0, per_sample=True), partners=True, draws=True),
    InputEntry(instance=inputs.CutMix(alpha=1.0), passes=(0, 0), identity=inputs.CutMix(alpha=0.0), partners=True, draws=True),
    InputEntry(instance=inputs.CutMix(alpha=0.4, per_sample=True), passes=(0, 0), identity=inputs.CutMix(alpha=0.0, per_sample=True), partners=True, draws=True),
    InputEntry(instance=NEAR, passes=(0, 0), identity=NEAR_0, partners=True, draws=True),
    InputEntry(instance=FGSM_AT, passes=(1, 1), identity=inputs.FGSM(eps=0.0), eps=EPS),
    InputEntry(instance=inputs.FGSM(eps=0.5, loss="margin", batchnorm="train_frozen_stats"), passes=(1, 1), identity=inputs.FGSM(eps=0.0), eps=0.5),
    InputEntry(instance=PGD_AT, passes=(3, 3), identity=PGD_AT_0, eps=EPS, draws=True),
    InputEntry(instance=inputs.PGD(eps=EPS, step_size=2 / 255, steps=2, batchnorm="train_frozen_stats"), passes=(2, 2), identity=PGD_AT_0, eps=EPS, draws=True),
    InputEntry(instance=R_LL, passes=(2, 1), identity=R_LL_0, eps=EPS, draws=True),
    InputEntry(instance=L2_AT, passes=(2, 2), identity=PGD_AT_0, eps=0.5, norm="l2"),
    InputEntry(instance=inputs.PGD(eps=1.5, step_size=0.5, steps=2, norm="l2"), passes=(2, 2), identity=PGD_AT_0, eps=1.5, norm="l2", draws=True),
]

SOURCE = nets.smooth_net(seed=7)
FGSM_0 = attacks.FGSM(eps=0.0)
PGD_0 = attacks.PGD(eps=0.0, step_size=0.0, steps=2)

ATTACKS = [
    AttackEntry(instance=attacks.FGSM(eps=0.1), passes=(2, 1), identity=FGSM_0, eps=0.1),
    AttackEntry(instance=attacks.FGSM(eps=EPS, target="most_confusing"), passes=(3, 1), identity=FGSM_0, eps=EPS),
    AttackEntry(instance=attacks.PGD(eps=0.1, step_size=0.025, steps=3), passes=(4, 3), identity=PGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.PGD(eps=0.1, step_size=0.025, steps=3, iterate="last", loss="margin"), passes=(4, 3), identity=PGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.PGD(eps=0.1, step_size=0.05, steps=2, restarts=3), passes=(9, 6), identity=PGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.PGD(eps=0.1, step_size=0.05, steps=2, target="least_likely"), passes=(4, 2), identity=PGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.PGD(eps=0.7, step_size=0.2, steps=3, norm="l2"), passes=(4, 3), identity=PGD_0, eps=0.7, norm="l2", draws=True),
    AttackEntry(instance=attacks.PGD(eps=math.inf, step_size=0.01, steps=4, random_start=False), passes=(5, 4), identity=PGD_0, eps=0.04),
    AttackEntry(instance=attacks.Transfer(source=SOURCE, attack=attacks.FGSM(eps=0.1)), passes=(3, 1), identity=attacks.Transfer(source=SOURCE, attack=FGSM_0), eps=0.1),
    AttackEntry(instance=attacks.Transfer(source=SOURCE, attack=attacks.PGD(eps=0.1, step_size=0.025, steps=2)), passes=(4, 2), identity=attacks.Transfer(source=SOURCE, attack=PGD_0), eps=0.1, draws=True),
]
# fmt: on
