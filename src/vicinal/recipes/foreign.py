"""Judge a model that is no run: an nn.Module, its weights in a safetensors file, and a data set.

Here stand the names of torchvision and timm, whose nets are wrapped with their normalisation, so
that pixels in [0, 1] go in. Nothing is downloaded, and nothing in a file runs code: a factory of
somebody else's is imported by the command line alone.
"""

from __future__ import annotations

import hashlib
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.parameter import UninitializedParameter

from vicinal import data, engine, models
from vicinal._checks import InputError, choice, count
from vicinal._typing import Attack, Norm
from vicinal.evaluation import Threat
from vicinal.recipes import job, loading
from vicinal.recipes.attack_words import describe, parse_attack
from vicinal.recipes.calls import Value, read_call
from vicinal.recipes.device import pick_device
from vicinal.recipes.run import load
from vicinal.recipes.schema import Augment, Evaluation

__all__ = [
    "BATCH",
    "ZOOS",
    "arguments_of",
    "attacks_of",
    "budget_of",
    "filled",
    "from_zoo",
    "job_of",
]

BATCH = 128
"""Images at a time; random starts depend on it."""

_STEPS = 20


def budget_of(eps: float) -> Evaluation:
    """Make a budget of a radius, for attacks that leave theirs out.

    Args:
        eps: The radius in pixels of [0, 1].

    Returns:
        The budget: 20 steps of a quarter of the radius.

    Example:
        >>> budget_of(8 / 255).step_size == 2 / 255
        True
    """
    return Evaluation(eps=eps, step_size=eps / 4, steps=_STEPS)


def attacks_of(
    texts: Sequence[str],
    *,
    budget: Evaluation | None,
    device: str = "cpu",
    norm: Norm = "linf",
) -> dict[str, Attack]:
    """Build the attacks that texts name.

    Args:
        texts: Such as "pgd(eps=4/255, step_size=1/255, steps=10)".
        budget: What they take where they leave theirs out; they may not where it is None.
        device: Where the source of a transfer, a run folder, shall lie.
        norm: In which the budget is. An attack that searches in another must say radius and step.

    Returns:
        Each attack by its full text.
    """
    found = {}
    source = partial(load, device=device)
    for text in texts:
        attack = parse_attack(text, budget=budget, norm=norm, load=source)
        found[describe(text, attack)] = attack
    return found


def arguments_of(name: str) -> dict[str, Value]:
    """Read the arguments that follow the name of a model.

    Args:
        name: Such as "timm/resnet18(num_classes=10)" or "package.module:factory".

    Returns:
        The arguments by name; none where there is no parenthesis.

    Raises:
        InputError: If what follows is anything else.

    Example:
        >>> arguments_of("mynet:net(width=16)")
        {'width': 16}
    """
    word, parenthesis, inside = name.partition("(")
    if not parenthesis:
        return {}
    try:
        return read_call(f"net({inside}").arguments
    except InputError:
        raise InputError(
            f"`model` {name[:80]!r} must be a name, or a name with keyword arguments that are "
            f"numbers, fractions or words, such as '{word[:40]}(width=16)'."
        ) from None


def from_zoo(name: str, *, weights: Path | None) -> nn.Module:
    """Build a net of torchvision or timm, its weights from a file, its normalisation inside.

    Args:
        name: "torchvision/resnet50" or "timm/resnet50.a1_in1k"; arguments may follow, such as
            "timm/resnet18(num_classes=10)".
        weights: A safetensors file of the bare net's weights.

    Returns:
        Pixels in [0, 1] go in, logits come out.

    Raises:
        InputError: If there is no such classifier, it cannot be built of these arguments, or the
            package cannot be imported.
    """
    zoo, _, rest = name.partition("/")
    word = rest.partition("(")[0]
    build = ZOOS[choice("model", zoo, ZOOS)]
    arguments = arguments_of(name)
    if weights is None:
        raise InputError(
            f"`model` {name!r} must be given --weights FILE.safetensors: nothing is downloaded, "
            "and a net without training says nothing."
        )
    net, mean, std = _built(build, zoo, word, arguments)
    filled(net, weights)
    return models.normalized(net, [float(one) for one in mean], [float(one) for one in std])


_OTHER_WEIGHTS = ("weights", "weights_backbone", "pretrained", "checkpoint_path", "pretrained_cfg")
"""Arguments by which the packages would fetch weights, or read them from files that run code."""


def _built(build: _Build, zoo: str, word: str, arguments: Mapping[str, Value]) -> _Built:
    off = [name for name in arguments if name in _OTHER_WEIGHTS]
    if off:
        raise InputError(
            f"`model` {zoo}/{word} must not be given {off[0]}: nothing is downloaded, and its "
            "weights are those of --weights."
        )
    package = _package(zoo)
    try:
        return build(package, word, arguments)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"`model` {zoo}/{word} cannot be built so: {error}.") from error


def _package(zoo: str) -> Any:  # ruff: ignore[any-type] — a package that may not be there
    name = {"torchvision": "torchvision.models", "timm": "timm"}[zoo]
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        # Beside a build of torch that is not its own, torchvision raises a RuntimeError.
        reason = str(error).partition("\n")[0]
        cure = f"pip install {zoo}?" if isinstance(error, ImportError) else _MISMATCH.format(zoo)
        raise InputError(
            f"`model` {zoo}/... needs {zoo}, which cannot be imported here ({reason}). {cure}"
        ) from error


_MISMATCH = "Install the {} that was built for this torch, CPU or CUDA alike?"

_Built = tuple[nn.Module, Sequence[float], Sequence[float]]
_Build = Callable[[Any, str, Mapping[str, Value]], _Built]


# ruff: ignore[any-type] — packages that may not be there have no types
def _torchvision(package: Any, name: str, arguments: Mapping[str, Value]) -> _Built:
    # Not those that find boxes or read films: their parts would be fetched.
    choice("model", name, package.list_models(module=package))
    preset = package.get_model_weights(name).DEFAULT.transforms()
    return package.get_model(name, weights=None, **arguments), preset.mean, preset.std


# ruff: ignore[any-type] — packages that may not be there have no types
def _timm(package: Any, name: str, arguments: Mapping[str, Value]) -> _Built:
    bare = name.partition(".")[0]
    choice("model", bare, package.list_models())
    net = package.create_model(name, pretrained=False, **arguments)
    told = package.data.resolve_model_data_config(net)
    return net, told["mean"], told["std"]


ZOOS: dict[str, _Build] = {
    "torchvision": _torchvision,
    "timm": _timm,
}
"""The packages whose nets are known by name."""


def filled(model: nn.Module, weights: Path | None) -> nn.Module:
    """Load weights into a model, where there are any.

    Args:
        model: The model.
        weights: A safetensors file; None where the model has its weights already.

    Returns:
        The same model, in eval mode.

    Raises:
        InputError: If the file is another format, or does not fit; or if lazy layers have no
            weights yet.
    """
    if any(isinstance(one, UninitializedParameter) for one in model.parameters()):
        raise InputError(
            "`model` must have all its weights; got lazy layers without any. Call it once on an "
            "image in the factory?"
        )
    if weights is not None:
        if weights.suffix in {".pt", ".pth", ".bin", ".ckpt", ".tar"}:
            raise InputError(
                f"`weights` must be a safetensors file; got {weights.name}, a pickle, which may "
                "run code. Convert it where you trust it: safetensors.torch.save_file(state, FILE)."
            )
        engine.load_weights(weights, model)
    return model.eval()


def job_of(
    model: nn.Module,
    *,
    name: str,
    dataset: str,
    folder: Path,
    data_dir: Path | None = None,
    n: int | None = None,
    size: int | None = None,
    batch_size: int = BATCH,
    weights: Path | None = None,
    attacks: Mapping[str, Attack] | None = None,
    device: str = "auto",
    seed: int = 0,
    threat: Threat | None = None,
    adversarial: Path | None = None,
    command: str | None = None,
) -> job.Job:
    """Lay out what judging a foreign model means, without judging it.

    Args:
        model: Pixels in [0, 1] go in, logits come out; it is moved to the device.
        name: What it is called in records.
        dataset: A data set by name; its test images are judged.
        folder: Where records and ledger go.
        data_dir: Where the data sets lie.
        n: How many test images are attacked, the first ones; all by default.
        size: Of a set that streams from its files, the side of its images.
        batch_size: Images at a time.
        weights: The file of its weights, for the records.
        attacks: Attacks by name.
        device: "auto", "cpu", "cuda" or "mps".
        seed: Governs the attacks' random starts.
        threat: The threat model of the worst case; by default that which most attacks share.
        adversarial: Where adversarial images go; None for nowhere.
        command: The command that repeats it, for the records.

    Returns:
        The job.

    Example:
        >>> net = models.digits_net()
        >>> made = job_of(net, name="net", dataset="digits", folder=Path("runs/net"), n=10)
        >>> len(made.few), len(made.whole), made.facts["dataset"]
        (10, 500, 'digits')
    """
    where = pick_device(device)
    images = loading.open_named(dataset, Augment(size=size), data_dir)
    split = images.test
    few = split if n is None else data.first(split, min(count("n", n), len(split)))
    told = {
        "dataset": dataset,
        "model": name,
        "weights": _digest(weights),
        "split": "test",
        "seed": seed,
        "device": where.type,
        **job.circumstances(where, command=command),
    }
    return job.Job(
        model=model.to(where),
        whole=split,
        few=few,
        batches=partial(_batches, batch_size=count("batch_size", batch_size)),
        attacks=attacks or {},
        folder=folder,
        facts=told,
        num_classes=images.num_classes,
        class_names=images.class_names,
        seed=seed,
        threat=threat,
        adversarial=adversarial,
    )


def _batches(split: loading.Piece, *, batch_size: int) -> loading.Loader:
    team = engine.processes()
    size = min(batch_size, math.ceil(len(split)))
    shared: dict[str, Any] = {"batch_size": size, "rank": team.rank, "world": team.world}
    if isinstance(split, data.FileSplit):
        return data.FileLoader(split, **shared)
    return data.Loader(split, **shared)


def _digest(weights: Path | None) -> str | None:
    if weights is None:
        return None
    return hashlib.sha256(weights.read_bytes()).hexdigest()
