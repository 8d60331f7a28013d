"""Bad input: one clear sentence each, at every public door, and everything left as it was."""

# ruff: file-ignore[reimplemented-operator]
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import catalog
import laws
import nets
from vicinal import _checks, attacks, inputs, labels, objectives
from vicinal._checks import InputError

N, K = 6, nets.CLASSES
DOORS: list[Any] = [*catalog.OBJECTIVES, *catalog.ATTACKS]
"""Everything a user calls with (model, x, y)."""

every_door = pytest.mark.parametrize("entry", DOORS)
every_attack = pytest.mark.parametrize("entry", catalog.ATTACKS)


def images() -> Tensor:
    return torch.rand(N, nets.CHANNELS, nets.SIDE, nets.SIDE, dtype=torch.float64)


def classes() -> Tensor:
    return torch.arange(N) % K


def refuse(entry: Any, x: Any, y: Any, *phrases: str, model: nn.Module | None = None) -> None:
    """The call raises one sentence with these phrases, and leaves model and input as they were."""
    model = nets.smooth_net() if model is None else model
    tensors = [t for t in (x, y) if isinstance(t, Tensor)]
    with laws.assert_model_unchanged(model), laws.assert_inputs_not_modified(*tensors):
        with pytest.raises(InputError) as caught:
            entry.instance(model, x, y)
        laws.assert_one_line(caught.value, *phrases)


# Images.

SPOILT: dict[str, tuple[Callable[[Tensor], Any], tuple[str, ...]]] = {
    "pixels in 0..255": (lambda x: x * 255, ("`x`", "[0, 1]", "Did you mean x / 255?")),
    "uint8": (lambda x: (x * 255).byte(), ("`x`", "torch.uint8", "x.float() / 255")),
    "normalised": (
        lambda x: (x - 0.5) / 0.25,
        ("`x`", "[0, 1]", "Normalised images?", "vicinal.models.normalized"),
    ),
    "overshoot": (lambda x: x * 0.001 + 1.0, ("`x`", "x.clamp(0, 1)")),
    "NaN": (
        lambda x: torch.where(x > 0.9, torch.nan, x),
        ("`x`", "[0, 1]", "NaN or infinite pixels"),
    ),
    "infinity": (
        lambda x: torch.where(x > 0.9, torch.inf, x),
        ("`x`", "[0, 1]", "NaN or infinite pixels"),
    ),
    "no batch": (lambda x: x[0], ("`x`", "(N, C, H, W)", "(3, 4, 4)")),
    "flat": (lambda x: x.flatten(1), ("`x`", "(N, C, H, W)", "(6, 48)")),
    "empty": (lambda x: x[:0], ("`x`", "at least one image")),
    "no channels": (lambda x: x[:, :0], ("`x`", "channels and pixels")),
    "NumPy": (lambda x: x.numpy(), ("`x`", "(N, C, H, W)", "ndarray")),
}


@pytest.mark.parametrize("kind", SPOILT)
@every_door
def test_images_that_are_none_are_refused(entry: Any, kind: str) -> None:
    spoil, phrases = SPOILT[kind]
    refuse(entry, spoil(images()), classes(), *phrases)


def test_values_just_above_one_are_shown_with_enough_digits() -> None:
    with pytest.raises(InputError) as caught:
        _checks.images(torch.full((1, 1, 1, 1), 1.0000001))
    laws.assert_one_line(caught.value, "1.0000001")


# Labels.

MISLABELLED: dict[str, tuple[Callable[[Tensor], Any], tuple[str, ...]]] = {
    "out of range": (lambda y: y + 7, ("`y`", "0..4", "5 outputs", "got 11")),
    "starting at 1": (lambda y: y + 1, ("`y`", "0..4", "got 5", "Do your labels start at 1?")),
    "one class more": (
        lambda y: torch.tensor([0, 1, 2, 3, 4, 5]),
        ("`y`", "0..4", "5 outputs", "got 5"),
    ),
    "negative": (lambda y: y - 1, ("`y`", "0..4", "got -1")),
    "floats": (lambda y: y.double(), ("`y`", "integer classes", "Did you mean y.long()?")),
    "a column": (lambda y: y[:, None], ("`y`", "Did you mean y.squeeze(1)?")),
    "too few": (lambda y: y[:-1], ("`y`", "(6,)", "(5,)")),
    "a list": (lambda y: y.tolist(), ("`y`", "(6,)", "list")),
    "integer one-hot": (
        lambda y: nn.functional.one_hot(y, K),
        ("`y`", "floating point", "int64", "Did you mean y.float()?"),
    ),
    "too many columns": (
        lambda y: torch.eye(K + 1, dtype=torch.float64)[y],
        ("`y`", "5 classes", "got 6"),
    ),
    "logits": (
        lambda y: torch.randn(N, K, dtype=torch.float64),
        ("`y`", "simplex", "non-negative", "sum 1"),
    ),
    "unnormalised": (lambda y: torch.ones(N, K, dtype=torch.float64), ("`y`", "simplex", "sum 1")),
    "NaN": (lambda y: torch.full((N, K), torch.nan, dtype=torch.float64), ("`y`", "simplex")),
}


@pytest.mark.parametrize("kind", MISLABELLED)
@every_door
def test_labels_that_are_none_are_refused(entry: Any, kind: str) -> None:
    spoil, phrases = MISLABELLED[kind]
    if kind == "too many columns" and not getattr(entry, "soft", True):
        phrases = ("`y`", "classes (N,)")
    refuse(entry, images(), spoil(classes()), *phrases)


# Models.


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@every_attack
def test_an_attack_refuses_a_diverged_model(entry: Any, bad: float) -> None:
    """NaN logits would count as "never fooled": the attack says so instead."""
    z = torch.randn(N, K, dtype=torch.float64)
    z[2, 1] = bad
    refuse(entry, images(), classes(), "finite logits", "1 of 6", model=nets.Returning(z))


class Wrapped(nn.Module):
    """A model that returns its logits in some wrong form."""

    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.net, self.form = nets.smooth_net(), form

    def forward(self, x: Tensor) -> Any:
        return self.form(self.net(x))


MODELS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "a tuple": (lambda z: (z, z), "tuple"),
    "a dict": (lambda z: {"logits": z}, "dict"),
    "one score": (lambda z: z[:, 0], "(6,)"),
    "one class": (lambda z: z[:, :1], "(6, 1)"),
    "a map": (lambda z: z[:, :, None, None], "(6, 5, 1, 1)"),
    "one row": (lambda z: z[:1], "(1, 5)"),
}


@pytest.mark.parametrize("kind", MODELS)
@every_door
def test_what_is_no_classifier_is_refused(entry: Any, kind: str) -> None:
    form, got = MODELS[kind]
    model = Wrapped(form)
    if isinstance(entry.instance, attacks.Transfer):
        refuse(entry, images(), classes(), "logits", "K >= 2", got, model=model)
    else:
        refuse(entry, images(), classes(), "logits of shape (6, K)", "K >= 2", got, model=model)


# Hyper-parameters.

ALPS, PGD, FGSM = objectives.ALPS, attacks.PGD, attacks.FGSM
PGD_OF: dict[str, Any] = {"eps": 0.1, "step_size": 0.01, "steps": 2}
CONSTRUCTED: list[tuple[str, Callable[[], Any], tuple[str, ...]]] = [
    ("eps 8", lambda: FGSM(eps=8), ("`eps`", "0 <= eps <= 1", "got 8", "did you mean 8/255?")),
    ("eps 8.0", lambda: PGD(**PGD_OF | {"eps": 8.0}), ("`eps`", "did you mean 8/255?")),
    ("step 2", lambda: PGD(**PGD_OF | {"step_size": 2}), ("`step_size`", "did you mean 2/255?")),
    ("move eps 8", lambda: inputs.PGD(eps=8, step_size=0.1), ("`eps`", "did you mean 8/255?")),
    ("negative eps", lambda: FGSM(eps=-0.1), ("`eps`", "0 <= eps <= 1", "got -0.1")),
    ("eps NaN", lambda: FGSM(eps=math.nan), ("`eps`", "got nan")),
    ("eps infinite", lambda: FGSM(eps=math.inf), ("`eps`", "got inf")),
    ("eps text", lambda: FGSM(eps="8/255"), ("`eps`", "number", "'8/255'", "str")),  # type: ignore[arg-type]
    ("eps True", lambda: FGSM(eps=True), ("`eps`", "number", "bool")),
    ("negative l2", lambda: PGD(**PGD_OF | {"eps": -1.0, "norm": "l2"}), ("`eps`", "0 <= eps")),
    ("channels, 8", lambda: FGSM(eps=torch.tensor([0.1, 8.0])), ("`eps`", "did you mean 8/255?")),
    ("channels, none", lambda: FGSM(eps=torch.tensor([])), ("`eps`", "(C,)", "(0,)")),
    ("steps 0", lambda: PGD(**PGD_OF | {"steps": 0}), ("`steps`", "integer >= 1", "got 0")),
    ("steps 2.5", lambda: PGD(**PGD_OF | {"steps": 2.5}), ("`steps`", "integer >= 1", "2.5")),
    ("restarts 0", lambda: PGD(**PGD_OF | {"restarts": 0}), ("`restarts`", "integer >= 1")),
    ("loss", lambda: FGSM(eps=0.1, loss="marigin"), ("`loss`", "Did you mean margin?")),
    ("loss CE", lambda: FGSM(eps=0.1, loss="CE"), ("`loss`", "ce | margin", "Did you mean ce?")),
    ("norm", lambda: PGD(**PGD_OF | {"norm": "Linf"}), ("`norm`", "Did you mean linf?")),
    ("norm L2", lambda: PGD(**PGD_OF | {"norm": "L2"}), ("`norm`", "Did you mean l2?")),
    (
        "target",
        lambda: FGSM(eps=0.1, target="least-likely"),
        ("`target`", "Did you mean least_likely?"),
    ),
    (
        "batchnorm",
        lambda: inputs.FGSM(eps=0.1, batchnorm="training"),  # type: ignore[arg-type]
        ("`batchnorm`", "Did you mean train?"),
    ),
    ("unknown", lambda: FGSM(eps=0.1, loss="q"), ("`loss`", "ce | margin", "got 'q'")),
    (
        "start without ball",
        lambda: PGD(**PGD_OF | {"eps": math.inf}),
        ("`random_start`", "infinite", "no ball"),
    ),
    ("smoothing", lambda: labels.Smooth(eps=1.2), ("`eps`", "0 <= eps <= 1", "got 1.2")),
    ("ALPS", lambda: ALPS(eps=3), ("`eps`", "0 <= eps <= 2", "got 3")),
    ("ALPS text", lambda: ALPS(mode="0.9"), ("`mode`", "number", "'0.9'")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(
    ("construct", "phrases"),
    [(construct, phrases) for _, construct, phrases in CONSTRUCTED],
    ids=[name for name, _, _ in CONSTRUCTED],
)
def test_a_hyper_parameter_is_refused_where_it_is_written(
    construct: Callable[[], Any], phrases: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        construct()
    laws.assert_one_line(caught.value, *phrases)


def test_an_input_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="`eps`"):
        FGSM(eps=8)


@pytest.mark.parametrize(
    "value", [np.float32(0.25), np.float64(0.25), 0.25, np.int64(1), 1, np.float16(0.25)]
)
def test_numpys_numbers_are_numbers(value: float) -> None:
    assert _checks.number("eps", value, low=0.0, high=1.0) == float(value)
    assert isinstance(_checks.number("eps", value), float)


def test_numpys_integers_are_integers() -> None:
    found = _checks.count("steps", np.int64(3))  # type: ignore[arg-type]
    assert found == 3
    assert type(found) is int
    x, y, model = images(), classes(), nets.smooth_net()
    loop, array = (PGD(eps=0.1, step_size=0.05, steps=s) for s in (3, np.int64(3)))  # type: ignore[arg-type]
    rngs = (torch.Generator().manual_seed(0) for _ in range(2))
    one, other = (a(model, x, y, rng=g).adv for a, g in zip((loop, array), rngs, strict=True))
    laws.assert_same_bits(one, other)


# The checks themselves: what they let through, and their shape.


def test_checks_return_what_they_checked() -> None:
    x, y, z = images(), classes(), torch.randn(N, K)
    q = z.softmax(dim=1)
    assert _checks.images(x) is x
    assert _checks.labels(y, n=N, num_classes=K) is y
    assert _checks.labels(q, n=N, num_classes=K) is q
    assert _checks.logits(z, n=N) is z
    assert _checks.distributions(q) is q
    assert _checks.at_least_two(x, who="MixUp") is x
    assert _checks.choice("loss", "ce", ("ce", "margin")) == "ce"
    assert _checks.count("steps", 3) == 3
    assert _checks.number("eps", 0.5, low=0.0, high=1.0) == 0.5
    assert _checks.budget("eps", math.inf) == math.inf
    assert _checks.budget("eps", 3.0, norm="l2") == 3.0
    per_channel = torch.tensor([0.1, 0.2])
    assert _checks.budget("eps", per_channel) is per_channel


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_the_ends_of_the_pixel_range_are_inside(edge: float) -> None:
    _checks.images(torch.full((1, 1, 2, 2), edge))


def test_values_are_not_read_where_that_would_make_a_device_wait() -> None:
    """On an accelerator a training step must not wait: shapes and dtypes only."""
    meta = torch.empty(2, 1, 3, 3, device="meta")
    assert _checks.images(meta, values=False) is meta
    _checks.labels(torch.empty(2, dtype=torch.int64, device="meta"), n=2, values=False)
    _checks.labels(torch.empty(2, 4, device="meta"), n=2, num_classes=4, values=False)
    _checks.logits(torch.empty(2, 4, device="meta"), n=2, values=False)
    _checks.distributions(torch.empty(2, 4, device="meta"))
    _checks.training_batch(meta, torch.empty(2, dtype=torch.int64, device="meta"))


@pytest.mark.parametrize(
    ("options", "outside", "inside", "text"),
    [
        ({"low": 0.0}, -1.0, 0.0, "0 <= v;"),
        ({"low": 0.0, "open_low": True}, 0.0, 1e-9, "0 < v;"),
        ({"high": 2.0}, 3.0, 2.0, "v <= 2;"),
        ({"low": 0.0, "high": 2.0, "open_high": True}, 2.0, 1.9, "0 <= v < 2;"),
        ({"low": 0.0, "open_high": True}, math.inf, 1e300, "0 <= v < inf;"),
    ],
)
def test_an_interval_is_written_as_it_is_meant(
    options: dict[str, Any], outside: float, inside: float, text: str
) -> None:
    assert _checks.number("v", inside, **options) == inside
    for value in (outside, math.nan):
        with pytest.raises(InputError) as caught:
            _checks.number("v", value, hint="So.", **options)
        laws.assert_one_line(caught.value, "`v`", text, "So.")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("leastlikely", " Did you mean least_likely?"),
        ("LEAST_LIKELY", " Did you mean least_likely?"),
        ("zzz", " Known: least_likely, random."),
    ],
)
def test_a_misspelt_word_names_the_nearest(word: str, said: str) -> None:
    assert _checks.suggest(word, ("random", "least_likely")) == said
    assert _checks.suggest(word, ()) == ""


def test_many_known_names_are_counted_not_listed_twice() -> None:
    with pytest.raises(InputError) as caught:
        _checks.choice("method", "bbb", [f"a{i}" for i in range(8)])
    laws.assert_one_line(caught.value, "one of 8 known names", "Known: a0")


def test_a_few_known_names_are_listed_once() -> None:
    with pytest.raises(InputError) as caught:
        _checks.choice("loss", "q", ("ce", "margin"))
    assert str(caught.value) == "`loss` must be ce | margin; got 'q'."


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("entry", catalog.OBJECTIVES)
def test_an_objective_on_the_cpu_refuses_logits_that_are_not_finite(entry: Any, bad: float) -> None:
    model = nets.smooth_net()
    with torch.no_grad():
        list(model.parameters())[-1][1] = bad
    with pytest.raises(InputError) as caught:
        entry.instance(model, images(), classes())
    laws.assert_one_line(caught.value, "finite logits", "Has its training diverged?")


class LastPass(nn.Module):
    """A model whose n-th forward pass alone is NaN."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.net, self.at, self.passes = nets.smooth_net(), at, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        z: Tensor = self.net(x)
        return z * (math.nan if self.passes == self.at else 1.0)


@pytest.mark.parametrize("iterate", ["worst", "last"])
def test_an_attack_refuses_nan_that_only_its_verdict_shows(iterate: str) -> None:
    """Three steps look at finite logits; the fourth pass decides and must be checked too."""
    pgd = PGD(eps=0.1, step_size=0.05, steps=3, iterate=iterate)
    fgsm = FGSM(eps=0.1)
    transfer = attacks.Transfer(source=nets.smooth_net(), attack=fgsm)
    for attack, at in ((pgd, 4), (fgsm, 2), (transfer, 1)):
        model = LastPass(at)
        with laws.assert_model_unchanged(model), pytest.raises(InputError) as caught:
            attack(model, images(), classes())
        laws.assert_one_line(caught.value, "finite logits", "6 of 6")
