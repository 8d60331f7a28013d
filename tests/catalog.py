"""One entry per public object: an instance, the laws it claims, its bounds and its cost.

Costs are hard numbers, forward and backward passes over the batch: those of objectives are the
table of the method (the update's own pass included), those of moves and attacks follow from it.
An object that is public but missing here fails the suite.
"""

# ruff: file-ignore[line-too-long]
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

import nets
from vicinal import attacks, inputs, labels, objectives
from vicinal._typing import Attack, Objective
from vicinal.corruptions import gaussian_noise


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
    soft: bool = True  # takes distributions
    renames: bool = True  # a draw names no class
    training: int = 1  # forward passes in training mode
    updates: int = 1  # times that BatchNorm's running averages move

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
    """An attack; `eps` is its ball, `identity` its instance of no budget.

    From one that `leaves` alone what is broken, an image costs `passes` at most.
    """

    instance: Attack
    passes: tuple[int, int]
    identity: Attack
    eps: float
    norm: str = "linf"
    draws: bool = False
    leaves: bool = False

    @property
    def name(self) -> str:
        return _name(self.instance)


def one_step(eps: float) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """FGSM as another package may have it, for the adapter."""

    def call(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        x = x.clone().requires_grad_(True)
        loss = nn.functional.cross_entropy(model(x), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        return (x + eps * gradient.sign()).clamp(0.0, 1.0)

    return call


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
AT = objectives.AdversarialTraining
BAT = objectives.BAT
FS = objectives.FeatureScatter
AVMIXUP = objectives.AVmixup
TRADES = objectives.TRADES
MART = objectives.MART
TLAT = objectives.TLAT
MTLAT = objectives.MTLAT
IAT = objectives.IAT
AWP = objectives.AWP
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
SCATTER = inputs.FeatureScatter(eps=EPS, step_size=EPS)
SCATTER_0 = inputs.FeatureScatter(eps=0.0, step_size=0.0)
SHIFT, SHIFT_0 = labels.LeastLikelyShift(eps=0.3), labels.LeastLikelyShift(eps=0.0)
SHIFT_CLEAN = labels.LeastLikelyShift(eps=0.3, at="clean")
LA, LA_0 = labels.Bilateral(), labels.Bilateral(beta=math.inf)
STEP_0 = AT(eps=0.0, step_size=0.0, steps=1)
NO_BALL = inputs.PGD(eps=EPS, step_size=EPS, steps=1, start_radius=2.0, project_back=False)

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
    # feature scattering moves a batch as a whole; AVmixup over it, and over PGD-n
    ObjectiveEntry(instance=FS(eps=EPS), passes=(3, 2), erm=((FS(eps=0.0, smoothing=0.0), 1.0),), partners=True, draws=True),
    ObjectiveEntry(instance=FS(step_size=EPS / 2, steps=2, transport="paper", batchnorm="train_frozen_stats"), passes=(4, 3), erm=((FS(eps=0.0, smoothing=0.0, transport="paper"), 1.0),), partners=True, draws=True),
    ObjectiveEntry(instance=AVMIXUP(steps=3), passes=(4, 4), erm=((AVMIXUP(eps=0.0, lambda2=1.0), 1.0),), draws=True),
    ObjectiveEntry(instance=AVMIXUP(), passes=(11, 11), erm=((AVMIXUP(eps=0.0, step_size=0.0, lambda1=1.0, lambda2=1.0), 1.0),), draws=True),
    ObjectiveEntry(instance=AVMIXUP.over_feature_scatter(), passes=(3, 2), erm=((AVMIXUP(attack="feature_scatter", eps=0.0, steps=1, lambda2=1.0), 1.0),), partners=True, draws=True),
    # two risks: n steps, one clean forward for the divergence in TRADES, and one pass of each at x and x'
    ObjectiveEntry(instance=TRADES(steps=2), passes=(5, 4), erm=((TRADES(beta=0.0, steps=1), 1.0), (TRADES(eps=0.0, steps=1), 1.0)), draws=True, training=2, updates=2),
    ObjectiveEntry(instance=TRADES(beta=1.0, eps=0.05, step_size=0.03, steps=1, start=0.02, batchnorm="train_frozen_stats"), passes=(4, 3), erm=((TRADES(beta=0.0, steps=0), 1.0),), draws=True, training=2, updates=2),
    # MART is ERM at no strength: without divergence and adversary its margin term is left
    ObjectiveEntry(instance=MART(steps=2), passes=(4, 4), erm=(), draws=True, soft=False, training=2, updates=2),
    # one step each; a drawn class is another one after renaming
    ObjectiveEntry(instance=TLAT(), passes=(3, 3), erm=((TLAT(eps_max=0.0), 2.0), (TLAT(eps_max=0.0, reduction="mean"), 1.0)), draws=True, renames=False, training=2, updates=2),
    ObjectiveEntry(instance=TLAT(eps_max=0.1, label="smooth", target="random", per_sample=True, reduction="mean"), passes=(3, 3), erm=((TLAT(eps_max=0.0, label="smooth", target="random", per_sample=True), 2.0),), draws=True, renames=False, training=2, updates=2),
    ObjectiveEntry(instance=TLAT(eps_max=0.1, label="keep", target=None, batchnorm="train_frozen_stats"), passes=(3, 3), erm=((TLAT(eps_max=0.0, label="keep", target=None), 2.0),), draws=True, training=2, updates=2),
    ObjectiveEntry(instance=MTLAT(), passes=(3, 3), erm=((MTLAT(eps_max=0.0, alpha=0.0), 2.0), (MTLAT(eps_max=0.0, alpha=0.0, reduction="mean"), 1.0)), partners=True, draws=True, renames=False, training=2, updates=2),
    ObjectiveEntry(instance=MTLAT(eps_max=0.1, alpha=1.0, target="random", per_sample=True, reduction="mean"), passes=(3, 3), erm=((MTLAT(eps_max=0.0, alpha=0.0, target="random", per_sample=True), 2.0),), partners=True, draws=True, renames=False, training=2, updates=2),
    ObjectiveEntry(instance=IAT(steps=2), passes=(4, 4), erm=((IAT(alpha=0.0, eps=0.0, steps=1), 1.0),), partners=True, draws=True, training=2, updates=2),
    ObjectiveEntry(instance=IAT(alpha=0.4, eps=0.025, step_size=0.025, steps=1, random_start=False, random_eps=True), passes=(3, 3), erm=((IAT(alpha=0.0, eps=0.0, random_start=False, random_eps=True, steps=1), 1.0),), partners=True, draws=True, training=2, updates=2),
    # the loss twice, what came before it once; weights move against a batch as a whole
    ObjectiveEntry(instance=AWP(objective=ERM(), gamma=0.05), passes=(2, 2), erm=((AWP(gamma=0.0), 1.0),), partners=True, training=2),
    ObjectiveEntry(instance=AWP(objective=TRADES(steps=1)), passes=(6, 5), erm=((AWP(objective=TRADES(beta=0.0, steps=1), gamma=0.0), 1.0),), draws=True, training=4, updates=2),
    ObjectiveEntry(instance=AWP(objective=VICINAL(inputs=PGD_AT), gamma=0.02), passes=(5, 5), erm=((AWP(objective=VICINAL(), gamma=0.0), 1.0),), draws=True, training=2),
    ObjectiveEntry(instance=AWP(objective=MTLAT(), gamma=0.02), passes=(5, 5), erm=((AWP(objective=MTLAT(eps_max=0.0, alpha=0.0), gamma=0.0), 2.0),), partners=True, draws=True, renames=False, training=4, updates=2),
    # adversarial training: FGSM, MC, R-FGSM, R-LL, random target, N-FGSM, PGD-n, with a label move, with a clean half
    ObjectiveEntry(instance=AT.one_step(eps=EPS), passes=(2, 2), erm=((AT.one_step(eps=0.0), 1.0),)),
    ObjectiveEntry(instance=AT.one_step(eps=EPS, target="most_confusing"), passes=(2, 2), erm=((AT.one_step(eps=0.0, target="most_confusing"), 1.0),)),
    ObjectiveEntry(instance=AT.one_step(eps=EPS, target="random"), passes=(2, 2), erm=((AT.one_step(eps=0.0, target="random"), 1.0),), draws=True, renames=False),
    ObjectiveEntry(instance=AT.one_step(eps=EPS, random_start=True), passes=(2, 2), erm=((STEP_0, 1.0),), draws=True),
    ObjectiveEntry(instance=AT.one_step(eps=EPS, target="least_likely", random_start=True), passes=(3, 2), erm=((AT.one_step(eps=0.0, target="least_likely", random_start=True), 1.0),), draws=True),
    ObjectiveEntry(instance=AT.n_fgsm(eps=EPS), passes=(2, 2), erm=((AT.n_fgsm(eps=0.0), 1.0),), draws=True),
    ObjectiveEntry(instance=AT(eps=EPS, step_size=2 / 255, steps=3), passes=(4, 4), erm=((AT(eps=0.0, step_size=0.0, steps=3), 1.0),), draws=True),
    ObjectiveEntry(instance=AT(eps=0.5, step_size=0.2, steps=2, norm="l2", labels=labels.Smooth(eps=0.2), batchnorm="train_frozen_stats"), passes=(3, 3), erm=((AT(eps=0.0, step_size=0.0, norm="l2", labels=labels.Smooth(eps=0.0)), 1.0),), draws=True),
    ObjectiveEntry(instance=AT(eps=EPS, step_size=EPS, steps=1, target="most_confusing", labels=SHIFT_CLEAN), passes=(3, 2), erm=((AT(eps=0.0, step_size=0.0, labels=SHIFT_0), 1.0),), draws=True),
    ObjectiveEntry(instance=AT(eps=EPS, step_size=2 / 255, steps=2, random_start=False, clean_half=True), passes=(4, 4), erm=((AT(eps=0.0, step_size=0.0, clean_half=True), 1.0),), training=2, updates=2),
    # BAT: R-MC-LA, R-MC-LS, R-MC, R-FGSM-LS, Madry-LA with three steps, two steps with ImageNet's beta
    ObjectiveEntry(instance=BAT(), passes=(3, 2), erm=((BAT(eps=0.0, beta=math.inf), 1.0),), draws=True),
    ObjectiveEntry(instance=BAT(label="smooth"), passes=(3, 2), erm=((BAT(eps=0.0, label="smooth", smoothing=0.0), 1.0),), draws=True),
    ObjectiveEntry(instance=BAT(label="keep"), passes=(3, 2), erm=((BAT(eps=0.0, label="keep"), 1.0),), draws=True),
    ObjectiveEntry(instance=BAT(label="smooth", target=None), passes=(2, 2), erm=((BAT(eps=0.0, label="smooth", smoothing=0.0, target=None), 1.0),), draws=True),
    ObjectiveEntry(instance=BAT(target=None, steps=3, step_size=2 / 255), passes=(5, 4), erm=((BAT(target=None, steps=3, eps=0.0, step_size=0.0, beta=math.inf), 1.0),), draws=True),
    ObjectiveEntry(instance=BAT(eps=16 / 255, steps=2, beta=100.0), passes=(4, 3), erm=((BAT(eps=0.0, steps=2, beta=math.inf), 1.0),), draws=True),
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
    # a label move that looks at the clean image: one forward more, but none where the target has it already
    ObjectiveEntry(instance=VICINAL(labels=LA), passes=(2, 1), erm=((VICINAL(labels=LA_0), 1.0),)),
    ObjectiveEntry(instance=VICINAL(inputs=PGD_AT, labels=LA), passes=(5, 4), erm=((VICINAL(inputs=PGD_AT_0, labels=LA_0), 1.0),), draws=True),
    ObjectiveEntry(instance=VICINAL(inputs=R_LL, labels=SHIFT_CLEAN), passes=(3, 2), erm=((VICINAL(inputs=R_LL_0, labels=SHIFT_0), 1.0),), draws=True),
    ObjectiveEntry(instance=VICINAL(inputs=R_LL, labels=labels.Bilateral(at="neighbour")), passes=(3, 2), erm=((VICINAL(inputs=R_LL_0, labels=LA_0), 1.0),), draws=True),
]

TWINS = [
    Twins(name="AWP that moves nothing", one=AWP(objective=VICINAL(inputs=PGD_AT), gamma=0.0), other=VICINAL(inputs=PGD_AT), same_bits=True),
    Twins(name="MixUp", one=MIXUP(alpha=0.7), other=VICINAL(inputs=inputs.MixUp(alpha=0.7), labels=labels.Mixing()), same_bits=True),
    Twins(name="MixUp per sample", one=MIXUP(alpha=0.7, per_sample=True), other=VICINAL(inputs=inputs.MixUp(alpha=0.7, per_sample=True), labels=labels.Mixing()), same_bits=True),
    Twins(name="CutMix", one=CUTMIX(alpha=0.7), other=VICINAL(inputs=inputs.CutMix(alpha=0.7), labels=labels.Mixing()), same_bits=True),
    Twins(name="CutMix per sample", one=CUTMIX(alpha=0.7, per_sample=True), other=VICINAL(inputs=inputs.CutMix(alpha=0.7, per_sample=True), labels=labels.Mixing()), same_bits=True),
    Twins(name="ManifoldMixUp at the input", one=MANIFOLD(alpha=0.7, layers=("input",)), other=MIXUP(alpha=0.7), same_bits=True),
    Twins(name="ALPS", one=ALPS(eps=0.3, mode=0.8, concentration=9.0), other=VICINAL(inputs=inputs.Interpolate(mode=0.8, concentration=9.0), labels=SHIFT)),
    Twins(name="ALPS, label only", one=ALPS(eps=0.3, mode=1.0, concentration=math.inf), other=VICINAL(labels=SHIFT)),
    Twins(name="ALPS, image only", one=ALPS(eps=0.0, mode=0.9), other=VICINAL(inputs=NEAR)),
    Twins(name="ALPS by (a, b)", one=ALPS.from_beta(a=10.0, b=2.0), other=ALPS(eps=0.2, mode=0.9, concentration=12.0), same_bits=True),
    Twins(name="PGD training", one=AT(eps=EPS, step_size=2 / 255, steps=3), other=VICINAL(inputs=PGD_AT), same_bits=True),
    Twins(name="FGSM training", one=AT.one_step(eps=EPS), other=VICINAL(inputs=FGSM_AT), same_bits=True),
    Twins(name="MC training", one=AT.one_step(eps=EPS, target="most_confusing"), other=VICINAL(inputs=inputs.FGSM(eps=EPS, target="most_confusing")), same_bits=True),
    Twins(name="N-FGSM training", one=AT.n_fgsm(eps=EPS), other=VICINAL(inputs=NO_BALL), same_bits=True),
    Twins(name="BAT, R-MC-LA", one=BAT(), other=VICINAL(inputs=inputs.PGD(eps=EPS, step_size=EPS, steps=1, target="most_confusing", clip_start=False), labels=LA), same_bits=True),
    Twins(name="BAT, R-MC", one=BAT(label="keep"), other=AT.one_step(eps=EPS, target="most_confusing", random_start=True), same_bits=True),
    Twins(name="BAT, Madry-LA", one=BAT(target=None, steps=3, step_size=2 / 255, clip_start=True), other=AT(eps=EPS, step_size=2 / 255, steps=3, labels=LA), same_bits=True),
    Twins(name="label smoothing", one=LS(eps=0.1), other=VICINAL(labels=labels.Smooth(eps=0.1)), same_bits=True),
    Twins(name="label smoothing, uniform", one=LS(eps=0.1, convention="uniform"), other=VICINAL(labels=labels.SmoothUniform(eps=0.1)), same_bits=True),
    Twins(name="Feature Scatter", one=FS(), other=VICINAL(inputs=SCATTER, labels=labels.Smooth(eps=0.5)), same_bits=True),
    Twins(name="AVmixup", one=AVMIXUP(steps=3), other=VICINAL(inputs=inputs.Vertex(move=PGD_AT, gamma=2.0), labels=labels.Vertex()), same_bits=True),
    Twins(name="AVmixup over Feature Scatter", one=AVMIXUP.over_feature_scatter(), other=VICINAL(inputs=inputs.Vertex(move=SCATTER, gamma=1.0), labels=labels.Vertex(lambda1=0.5, lambda2=0.7)), same_bits=True),
    Twins(name="Gaussian vicinity", one=NOISE(sigma=0.2), other=VICINAL(inputs=inputs.GaussianNoise(sigma=0.2)), same_bits=True),
]

LABELS = [
    LabelEntry(instance=labels.Keep(), at=None, identity=labels.Keep()),
    LabelEntry(instance=labels.Smooth(eps=0.1), at=None, identity=labels.Smooth(eps=0.0)),
    LabelEntry(instance=labels.Smooth(eps=1.0), at=None, identity=labels.Smooth(eps=0.0)),
    LabelEntry(instance=labels.SmoothUniform(eps=0.1), at=None, identity=labels.SmoothUniform(eps=0.0)),
    LabelEntry(instance=labels.LeastLikelyShift(eps=0.2), at="neighbour", identity=SHIFT_0),
    LabelEntry(instance=labels.LeastLikelyShift(eps=2.0), at="neighbour", identity=SHIFT_0),
    LabelEntry(instance=labels.Vertex(), at=None, identity=labels.Vertex(lambda1=1.0, lambda2=1.0), mixes=True),
    LabelEntry(instance=labels.Vertex(lambda1=0.5, lambda2=0.7), at=None, identity=labels.Vertex(lambda1=1.0, lambda2=1.0), mixes=True),
    LabelEntry(instance=SHIFT_CLEAN, at="clean", identity=SHIFT_0),
    LabelEntry(instance=LA, at="clean", identity=LA_0),
    LabelEntry(instance=labels.Bilateral(beta=1.0, gamma=0.1, at="neighbour"), at="neighbour", identity=LA_0),
    LabelEntry(instance=labels.ProjectedGradient(eps=0.3, step_size=0.1), at="clean", identity=labels.ProjectedGradient(eps=0.0)),
    LabelEntry(instance=labels.ProjectedGradient(eps=1.0, step_size=1.0, at="neighbour"), at="neighbour", identity=labels.ProjectedGradient(eps=0.0)),
    LabelEntry(instance=labels.Mixing(), at=None, identity=labels.Mixing(), mixes=True),
]

INPUTS = [
    InputEntry(instance=inputs.Keep(), passes=(0, 0), identity=inputs.Keep(), eps=0.0),
    InputEntry(instance=inputs.GaussianNoise(sigma=0.3), passes=(0, 0), identity=inputs.GaussianNoise(sigma=0.0), draws=True),
    InputEntry(instance=inputs.GaussianNoise(sigma=0.3, clip=False), passes=(0, 0), identity=inputs.GaussianNoise(sigma=0.0, clip=False), draws=True, unit_range=False),
    InputEntry(instance=inputs.Corrupt(corruption=gaussian_noise), passes=(0, 0), identity=inputs.Corrupt(corruption=gaussian_noise, share=0.0), draws=True),
    InputEntry(instance=inputs.Corrupt(corruption=gaussian_noise, severities=(4,), share=0.5), passes=(0, 0), identity=inputs.Corrupt(corruption=gaussian_noise, severities=(4,), share=0.0), draws=True),
    InputEntry(instance=inputs.MixUp(alpha=1.0), passes=(0, 0), identity=inputs.MixUp(alpha=0.0), partners=True, draws=True),
    InputEntry(instance=inputs.MixUp(alpha=0.4, per_sample=True), passes=(0, 0), identity=inputs.MixUp(alpha=0.0, per_sample=True), partners=True, draws=True),
    InputEntry(instance=inputs.CutMix(alpha=1.0), passes=(0, 0), identity=inputs.CutMix(alpha=0.0), partners=True, draws=True),
    InputEntry(instance=inputs.CutMix(alpha=0.4, per_sample=True), passes=(0, 0), identity=inputs.CutMix(alpha=0.0, per_sample=True), partners=True, draws=True),
    InputEntry(instance=NEAR, passes=(0, 0), identity=NEAR_0, partners=True, draws=True),
    InputEntry(instance=FGSM_AT, passes=(1, 1), identity=inputs.FGSM(eps=0.0), eps=EPS),
    InputEntry(instance=inputs.FGSM(eps=0.5, loss="margin", batchnorm="train_frozen_stats"), passes=(1, 1), identity=inputs.FGSM(eps=0.0), eps=0.5),
    InputEntry(instance=PGD_AT, passes=(3, 3), identity=PGD_AT_0, eps=EPS, draws=True),
    InputEntry(instance=inputs.PGD(eps=EPS, step_size=2 / 255, steps=2, batchnorm="train_frozen_stats"), passes=(2, 2), identity=PGD_AT_0, eps=EPS, draws=True),
    InputEntry(instance=NO_BALL, passes=(1, 1), identity=PGD_AT_0, eps=3 * EPS, draws=True),
    InputEntry(instance=inputs.PGD(eps=EPS, step_size=EPS, steps=1, target="most_confusing", clip_start=False), passes=(2, 1), identity=R_LL_0, eps=EPS, draws=True),
    InputEntry(instance=inputs.FGSM(eps=EPS, target="least_likely"), passes=(1, 1), identity=inputs.FGSM(eps=0.0), eps=EPS),
    InputEntry(instance=inputs.FGSM(eps=EPS, target="most_confusing", batchnorm="train_frozen_stats"), passes=(2, 1), identity=inputs.FGSM(eps=0.0), eps=EPS),
    InputEntry(instance=R_LL, passes=(2, 1), identity=R_LL_0, eps=EPS, draws=True),
    InputEntry(instance=L2_AT, passes=(2, 2), identity=PGD_AT_0, eps=0.5, norm="l2"),
    InputEntry(instance=inputs.PGD(eps=1.5, step_size=0.5, steps=2, norm="l2"), passes=(2, 2), identity=PGD_AT_0, eps=1.5, norm="l2", draws=True),
    InputEntry(instance=SCATTER, passes=(2, 1), identity=SCATTER_0, eps=EPS, partners=True, draws=True),
    InputEntry(instance=inputs.FeatureScatter(step_size=2 / 255, steps=3, transport="paper", batchnorm="train_frozen_stats"), passes=(4, 3), identity=SCATTER_0, eps=EPS, partners=True, draws=True),
    InputEntry(instance=inputs.Vertex(move=PGD_AT, gamma=2.0), passes=(3, 3), identity=inputs.Vertex(move=PGD_AT_0), eps=2 * EPS, draws=True),
    InputEntry(instance=inputs.Vertex(move=SCATTER, gamma=1.5), passes=(2, 1), identity=inputs.Vertex(move=SCATTER_0), eps=1.5 * EPS, partners=True, draws=True),
]

SOURCE = nets.smooth_net(seed=7)
FGSM_0 = attacks.FGSM(eps=0.0)
PGD_0 = attacks.PGD(eps=0.0, step_size=0.0, steps=2)
MI_0 = attacks.MIFGSM(eps=0.0, steps=2)
CW_0 = attacks.CWL2(steps=0)
FAB_0 = attacks.FAB(eps=0.0, steps=2)
APGD_0 = attacks.APGD(eps=0.0, steps=2)
THREE_STEPS = attacks.APGD(eps=0.01, steps=3, compact_every=None)
TWO_GOALS = attacks.APGD(eps=0.01, steps=2, loss="dlr", targets=2, compact_every=None)
WIDEST = math.sqrt(nets.CHANNELS) * nets.SIDE

ATTACKS = [
    AttackEntry(instance=attacks.FGSM(eps=0.1), passes=(2, 1), identity=FGSM_0, eps=0.1),
    AttackEntry(instance=attacks.FGSM(eps=EPS, target="most_confusing"), passes=(3, 1), identity=FGSM_0, eps=EPS),
    AttackEntry(instance=attacks.PGD(eps=0.1, step_size=0.025, steps=3), passes=(4, 3), identity=PGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.PGD(eps=0.1, step_size=0.025, steps=3, iterate="last", loss="margin"), passes=(4, 3), identity=PGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.PGD(eps=0.1, step_size=0.05, steps=2, restarts=3), passes=(9, 6), identity=PGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.PGD(eps=0.1, step_size=0.05, steps=2, target="least_likely"), passes=(4, 2), identity=PGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.PGD(eps=0.7, step_size=0.2, steps=3, norm="l2"), passes=(4, 3), identity=PGD_0, eps=0.7, norm="l2", draws=True),
    AttackEntry(instance=attacks.PGD(eps=math.inf, step_size=0.01, steps=4, random_start=False), passes=(5, 4), identity=PGD_0, eps=0.04),
    AttackEntry(instance=attacks.PGD(eps=0.1, step_size=0.05, steps=2, channels_last=True), passes=(4, 2), identity=PGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.PGD(eps=0.1, step_size=0.05, steps=2, eot=2), passes=(8, 4), identity=PGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.MIFGSM(eps=0.1, steps=3), passes=(4, 3), identity=MI_0, eps=0.1),
    AttackEntry(instance=attacks.MIFGSM(eps=0.7, steps=2, norm="l2", target="least_likely", iterate="last"), passes=(4, 2), identity=MI_0, eps=0.7, norm="l2"),
    AttackEntry(instance=attacks.CWL2(steps=4, search_steps=3, constant=0.1, abort_early=False), passes=(13, 12), identity=CW_0, eps=WIDEST, norm="l2"),
    AttackEntry(instance=attacks.CWL2(steps=3, search_steps=2, confidence=0.5, constant=0.1, abort_early=False, target="most_confusing"), passes=(7, 6), identity=CW_0, eps=WIDEST, norm="l2"),
    AttackEntry(instance=attacks.APGD(eps=0.1, steps=3, compact_every=None), passes=(6, 3), identity=APGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.APGD(eps=0.7, norm="l2", loss="dlr", steps=2, compact_every=None), passes=(5, 2), identity=APGD_0, eps=0.7, norm="l2", draws=True),
    AttackEntry(instance=attacks.APGD(eps=0.1, loss="dlr", steps=2, targets=3, restarts=2, compact_every=None), passes=(20, 12), identity=APGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.APGD(eps=0.1, loss="margin", steps=2, target="least_likely", eot=2, compact_every=None), passes=(10, 4), identity=APGD_0, eps=0.1, draws=True),
    AttackEntry(instance=attacks.AutoAttack(eps=0.01, attacks={"apgd-ce": THREE_STEPS, "apgd-t": TWO_GOALS}), passes=(17, 7), identity=attacks.AutoAttack(eps=0.0, attacks=[APGD_0]), eps=0.01, draws=True, leaves=True),
    AttackEntry(instance=attacks.Foreign(call=one_step(0.1), eps=0.1), passes=(3, 1), identity=attacks.Foreign(call=one_step(0.0), eps=0.0), eps=0.1),
    AttackEntry(instance=attacks.FAB(eps=0.1, steps=3, targets=2, bisections=1, compact_every=None), passes=(17, 6), identity=FAB_0, eps=0.1),
    AttackEntry(instance=attacks.FAB(eps=0.005, steps=1, restarts=4, norm="l2", compact_every=None), passes=(50, 16), identity=FAB_0, eps=0.005, norm="l2", draws=True),
    AttackEntry(instance=attacks.FMN(eps=0.1, steps=4, compact_every=None), passes=(6, 4), identity=attacks.FMN(eps=0.0), eps=0.1),
    AttackEntry(instance=attacks.FMN(norm="l2", steps=5, compact_every=None), passes=(7, 5), identity=attacks.FMN(eps=0.0), eps=WIDEST, norm="l2"),
    AttackEntry(instance=attacks.Square(eps=0.1, queries=4, compact_every=None), passes=(7, 0), identity=attacks.Square(eps=0.0, queries=2), eps=0.1, draws=True),
    AttackEntry(instance=attacks.Square(eps=0.5, queries=4, norm="l2", restarts=2, loss="ce", compact_every=None), passes=(12, 0), identity=attacks.Square(eps=0.0, queries=2, norm="l2"), eps=0.5, norm="l2", draws=True),
    AttackEntry(instance=attacks.UniformNoise(eps=0.1, draws=3, compact_every=None), passes=(4, 0), identity=attacks.UniformNoise(eps=0.0, draws=2), eps=0.1, draws=True),
    AttackEntry(instance=attacks.UniformNoise(eps=0.5, draws=2, norm="l2", compact_every=None), passes=(3, 0), identity=attacks.UniformNoise(eps=0.0, draws=2), eps=0.5, norm="l2", draws=True),
    AttackEntry(instance=attacks.Transfer(source=SOURCE, attack=attacks.FGSM(eps=0.1)), passes=(3, 1), identity=attacks.Transfer(source=SOURCE, attack=FGSM_0), eps=0.1),
    AttackEntry(instance=attacks.Transfer(source=SOURCE, attack=attacks.PGD(eps=0.1, step_size=0.025, steps=2)), passes=(4, 2), identity=attacks.Transfer(source=SOURCE, attack=PGD_0), eps=0.1, draws=True),
    AttackEntry(instance=attacks.Rounded(attack=attacks.APGD(eps=0.11, steps=3, compact_every=None)), passes=(7, 3), identity=APGD_0, eps=0.11 + 0.5 / 255, draws=True),  # rounding moves pixels without any budget, and 0.1 * 255 lies between two levels
]
# fmt: on
