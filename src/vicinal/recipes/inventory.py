"""What there is, as rows of words: the tables that recipes and commands take their names from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from vicinal.attacks import ATTACKS
from vicinal.data import DATASETS, FOLDERS
from vicinal.models import MODELS
from vicinal.objectives import OBJECTIVES
from vicinal.recipes import files
from vicinal.recipes.failures import failures_of, known_failures
from vicinal.recipes.resolve import explicit

__all__ = ["Row", "attacks", "datasets", "failures", "methods", "models", "recipes"]

Row = dict[str, str]

_SENTENCES = {
    "ERM": ("x", "e_y", "Vapnik 1998"),
    "GaussianVicinity": ("x + N(0, sigma^2 I)", "e_y", "Chapelle et al. 2001"),
    "LabelSmoothing": ("x", "1-eps on y, the rest evenly", "Szegedy et al. 2016"),
    "MixUp": ("lam x + (1-lam) x'", "lam e_y + (1-lam) e_y'", "Zhang et al. 2018"),
    "CutMix": ("a box of x' pasted into x", "lam e_y + (1-lam) e_y', lam kept", "Yun et al. 2019"),
    "ManifoldMixUp": ("x, one hidden state mixed", "lam e_y + (1-lam) e_y'", "Verma et al. 2019"),
    "ALPS": ("lam x + (1-lam) x', lam near 1", "least-likely shift of e_y", "Guo et al. 2021"),
    "AdversarialTraining": ("PGD-n, or one step", "e_y, or any label move", "Madry et al. 2018"),
    "BAT": ("a step to the most confusing class", "bilateral, by -log p", "Wang and Zhang 2019"),
    "FeatureScatter": ("x + delta_FS", "1-s on y, the rest evenly", "Zhang and Wang 2019"),
    "AVmixup": ("between x and its vertex", "phi(y, l1) to phi(y, l2)", "Lee et al. 2020"),
    "TRADES": ("x, and the KL maximiser near x", "e_y, and f(x)", "Zhang et al. 2019"),
    "MART": ("PGD-n, and x in the loss", "e_y, boosted; f(x)", "Wang et al. 2020"),
    "TLAT": ("x, and one targeted step", "e_y; (1-eps) e_y + eps e_t", "Laugros et al. 2020"),
    "MTLAT": ("MixUp; one step from another", "q; (1-eps) q + eps e_t", "Laugros et al. 2020"),
    "IAT": ("MixUp of x, and of PGD-n", "lam e_y + (1-lam) e_y'", "Lamb et al. 2019"),
    "AWP": ("an objective's; weights moved", "the objective's", "Wu et al. 2020"),
    "Vicinal": ("any input move", "any label move", "Chapelle et al. 2001"),
}
"""Each objective as the sentence that it is: input move, label move, paper."""

_LAYOUTS = {
    "digits": "nothing: it comes with scikit-learn",
    "cifar10": "cifar10.npz, cifar-10-batches-py/ or cifar-10-batches-bin/",
    "cifar100": "cifar100.npz, cifar-100-python/ or cifar-100-binary/",
    "svhn": "[svhn/]train_32x32.mat and test_32x32.mat",
    "mnist": "[mnist/]train-images-idx3-ubyte[.gz] and the other three files",
    "fashion-mnist": "[fashion-mnist/]train-images-idx3-ubyte[.gz] and the other three files",
    "tiny-imagenet": "tiny-imagenet-200/{wnids.txt, words.txt, train/<wnid>/images/, val/}",
    "tiny-imagenet-30": "tiny_imagenet_30/{train,val}/<wnid>/*.JPEG",
    "npz": "one .npz, or itself be one: x_train, y_train, x_test, y_test",
    "image-folder": "train/<class>/*.jpg and test/<class>/*.jpg, or val/ for test/",
    "imagenet": "[imagenet/]{train,val}/<wnid>/*.JPEG",
    "imagenet-100": "imagenet-100/train/<wnid>/*.JPEG [imagenet-100.txt]",
}
"""What the folder of --data-dir must hold for each set; in brackets what may be left out."""


def methods() -> list[Row]:
    """List the objectives as sentences.

    Returns:
        Name, input move, label move, passes of one training step, paper, whether a claim of its
        robustness is known to fail, arguments.

    Example:
        >>> methods()[0]["objective"], methods()[0]["passes"]
        ('ERM', '1+1')
    """
    found = []
    for name, build in OBJECTIVES.items():
        moved, label, paper = _SENTENCES.get(name, ("", "", ""))
        facts = {"input": moved, "label": label, "passes": str(build().passes), "paper": paper}
        kinds = {known.kind for known in failures_of(explicit("objective", {"name": name}))}
        facts["known"] = "failure" if "failure" in kinds else "".join(kinds)
        found.append({"objective": name, **facts, "arguments": _arguments(build)})
    return found


def failures() -> list[Row]:
    """List the claims of robustness that a stronger attack took away, and three that held.

    Returns:
        Method, what was claimed, what was left, source, and whether it is a failure, an expected
        one, or a control.

    Example:
        >>> failures()[0]["left"]
        'AutoAttack 29.35, clean 92.80'
    """
    return [
        {
            "method": known.method,
            "claimed": known.claimed,
            "left": known.strong,
            "kind": known.kind,
            "source": known.source,
        }
        for known in known_failures()
    ]


def attacks() -> list[Row]:
    """List the attacks.

    Returns:
        Name, what it does, arguments.
    """
    return _rows("attack", ATTACKS)


def models() -> list[Row]:
    """List the networks.

    Returns:
        Name, what it is, arguments.
    """
    return _rows("model", MODELS)


def datasets() -> list[Row]:
    """List the data sets, those in memory first.

    Returns:
        Name, what it is, whether it streams from its files, and what --data-dir must hold.

    Example:
        >>> datasets()[-1]["dataset"], datasets()[-1]["read"], datasets()[-1]["layout"]
        ('imagenet-100', 'streamed', 'imagenet-100/train/<wnid>/*.JPEG [imagenet-100.txt]')
    """
    kinds: dict[str, Mapping[str, Callable[..., object]]]
    kinds = {"in memory": DATASETS, "streamed": FOLDERS}
    return [
        {"dataset": name, "what": _summary(reader), "read": kind, "layout": _LAYOUTS[name]}
        for kind, readers in kinds.items()
        for name, reader in readers.items()
    ]


def recipes() -> list[Row]:
    """List the recipes.

    Returns:
        Name and methods, the default first.
    """
    return [
        {"recipe": name, "methods, the default first": ", ".join(files.methods(name))}
        for name in files.names()
    ]


def _rows(kind: str, table: Mapping[str, Callable[..., object]]) -> list[Row]:
    return [
        {kind: name, "what": _summary(build), "arguments": _arguments(build)}
        for name, build in table.items()
    ]


def _summary(thing: object) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _arguments(build: Callable[..., object]) -> str:
    words = []
    for name, parameter in inspect.signature(build).parameters.items():
        shown = parameter.default is not parameter.empty and "factory" not in str(parameter.default)
        words.append(f"{name}={parameter.default}" if shown else name)
    return ", ".join(words)
