"""The comparison of attacks: its nets, its counting and judging, its rounds and its page."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from benchmarks import attacks, attacks_against_peers, reference_nets
from benchmarks import gradient_attacks_against_peers as iterates
from benchmarks.peers import ours, packages, rounds, tables, worker
from benchmarks.peers.budgets import ATTACKS, RADII, Budget, Built, budget
from benchmarks.peers.process import Place, Worker
from benchmarks.peers.targets import ratio, targets
from vicinal import attacks as library
from vicinal import records
from vicinal._checks import InputError
from vicinal.attacks import levers
from vicinal.attacks.folding import folded

THERE = [name for name in reference_nets.NETS if (reference_nets.FOLDER / f"{name}.json").is_file()]


# the nets


@pytest.mark.parametrize("name", THERE)
def test_a_reference_net_is_half_precision_small_and_the_one_of_its_card(name: str) -> None:
    file = reference_nets.FOLDER / f"{name}.safetensors"
    content = file.read_bytes()
    known = reference_nets.card(name)
    assert len(content) < 2_000_000
    assert hashlib.sha256(content).hexdigest() == known["sha256"]
    stored = safetensors.torch.load(content)
    assert {t.dtype for t in stored.values()} == {torch.float16, torch.int64}
    assert known["model"]["width"] == 16
    assert {"recipe", "seed", "epochs", "clean_accuracy"} <= known.keys()


@pytest.mark.parametrize("name", THERE)
def test_a_reference_net_computes_in_float32_with_the_rounded_weights(name: str) -> None:
    net = reference_nets.load(name)
    stored = safetensors.torch.load_file(reference_nets.FOLDER / f"{name}.safetensors")
    for key, tensor in net.state_dict().items():
        assert tensor.dtype in {torch.float32, torch.int64}
        assert torch.equal(tensor, stored[key].to(tensor.dtype))
    assert not any(part.training for part in net.modules())


def test_loading_a_reference_net_draws_nothing_from_the_global_generator() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    reference_nets.load("erm")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", THERE)
def test_a_reference_net_has_exactly_the_clean_accuracy_of_its_card(name: str) -> None:
    folder = Path(os.environ.get("VICINAL_DATA_DIR", "data"))
    if not (folder / "cifar10.npz").is_file() and not list(folder.glob("cifar-10-*")):
        pytest.skip("neither VICINAL_DATA_DIR nor ./data holds the real CIFAR-10")
    known = reference_nets.card(name)
    x, y = reference_nets.first_images(known["judged"], data_dir=folder)
    assert reference_nets.clean_correct(reference_nets.load(name), x, y) == known["correct"]


def test_a_net_that_is_missing_damaged_or_unknown_is_refused_in_one_sentence(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match=r"erm\.json is missing: make it with"):
        reference_nets.load("erm", folder=tmp_path)
    for kind in ("json", "safetensors"):
        source = reference_nets.FOLDER / f"erm.{kind}"
        (tmp_path / source.name).write_bytes(source.read_bytes())
    content = bytearray((tmp_path / "erm.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "erm.safetensors").write_bytes(bytes(content))
    with pytest.raises(InputError, match="sha256 differs"):
        reference_nets.load("erm", folder=tmp_path)
    with pytest.raises(InputError, match="Did you mean erm"):
        reference_nets.load("erms")


def test_a_run_without_weights_is_not_exported(tmp_path: Path) -> None:
    recipe = reference_nets.card("erm")["recipe"]
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    with pytest.raises(InputError, match="holds no weights yet"):
        reference_nets.export(tmp_path, "pgd", folder=tmp_path)


# counting and judging


class Net(nn.Module):
    """A net whose only large part is its classifying layer, behind a BatchNorm to be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.flat = nn.Flatten()
        self.head = nn.Linear(4 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.head(self.flat(self.norm(self.conv(x)).relu()))
        return z


def batch(n: int = 6) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    net = Net().eval()
    x = torch.rand(n, 3, 4, 4)
    return net, x, net(x).argmax(dim=1)


def test_the_counter_counts_by_hand_also_in_a_folded_copy() -> None:
    net, x, y = batch()
    counter = worker.Counter(10)
    with counter.watching():
        with torch.no_grad():
            net(x)
        for other in (net, folded(net)):
            at = x[:4].clone().requires_grad_(True)
            torch.autograd.grad(nn.functional.cross_entropy(other(at), y[:4]), at)
    net(x)
    assert (counter.forward, counter.backward) == (6 + 4 + 4, 4 + 4)


@pytest.mark.parametrize(
    "build", [ours.build, ours.build_float32, ours.build_plain], ids=["levers", "fp32", "plain"]
)
@pytest.mark.parametrize("name", ["pgd-10", "apgd-100", "fab-t-100", "square-500"])
def test_what_is_counted_is_what_our_result_says_it_spent(
    name: str, build: Callable[[nn.Module, Budget, int], Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    net, x, y = batch()
    results: list[library.Result] = []
    kinds = (library.PGD, library.APGD, library.FAB, library.Square)
    for kind in kinds:
        monkeypatch.setattr(kind, "__call__", _remembering(kind.__call__, results))
    built = build(net, budget(name, eps=0.02, steps=6), 0)
    found = worker.attacked(built, net, x, y, len(x))
    spent = results[-1].image_passes
    assert (found["forward"], found["backward"]) == (spent.forward, spent.backward)


def _remembering(call: Callable[..., Any], results: list[Any]) -> Callable[..., Any]:
    def called(*given: Any, **words: Any) -> Any:
        results.append(call(*given, **words))
        return results[-1]

    return called


def test_the_plain_loop_makes_every_pass_for_every_image_and_names_no_lever() -> None:
    net, x, y = batch()
    built = ours.build_plain(net, budget("pgd-10", eps=0.5), 0)
    found = worker.attacked(built, net, x, y, 4)
    assert (found["forward"], found["backward"]) == (11 * len(x), 10 * len(x))
    assert not built.levers
    bare = ours.build_bare(net, budget("pgd-10", eps=0.5), 0)
    assert bare is not None
    found = worker.attacked(bare, net, x, y, 4)
    assert (found["forward"], found["backward"]) == (10 * len(x), 10 * len(x))
    assert torch.equal(found["adv"], x)


def test_levers_are_named_and_autoattack_names_those_of_each_member() -> None:
    net, _, _ = batch()
    told = ours.build_float32(net, budget("pgd-10", eps=0.1), 0).levers
    assert told == "fooled images leave every 5 steps, channels_last, folded"
    told = ours.build_float32(net, budget("autoattack", eps=0.1), 0).levers
    assert [part.partition(":")[0] for part in told.split("; ")] == [
        "apgd-ce",
        "apgd-t",
        "fab-t",
        "square",
    ]
    assert ours.build_plain(net, budget("autoattack", eps=0.1), 0).levers.count("none") == 4


@pytest.mark.parametrize("name", ["pgd-10", "apgd-100", "square-1000", "autoattack"])
def test_the_arithmetic_that_is_named_is_the_one_of_the_search(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ball that bf16 would blur is searched in fp32 where bf16 is fast, too."""
    monkeypatch.setattr(levers, "fast_precision", lambda device: "bf16")
    net, _, _ = batch()
    assert "bf16" in ours.build(net, budget(name, eps=8 / 255), 0).levers
    assert "bf16" not in ours.build(net, budget(name, eps=1 / 255), 0).levers


def test_what_left_the_ball_is_brought_back_before_it_is_judged() -> None:
    net, x, y = batch()
    asked = budget("pgd-10", eps=0.01)
    far = 1 - x
    found = worker.judged(net, far, x, y, asked)
    assert found["outside"] == len(x)
    held = torch.minimum(torch.maximum(far, x - 0.01), x + 0.01).clamp(0, 1)
    wrong = (net(held).argmax(dim=1) != y).tolist()
    assert found["fooled"] == "".join("01"[bit] for bit in wrong)
    free = worker.judged(net, far, x, y, budget("cw-l2-40", eps=0.01))
    wrong = net(far).argmax(dim=1) != y
    assert wrong.any()
    assert free["outside"] == 0
    assert free["robust"] == pytest.approx(100 * float((~wrong).float().mean()))
    sizes = (far - x).flatten(1).norm(dim=1)[wrong]
    assert free["norm"] == pytest.approx(float(sizes.median()))


def test_the_median_norm_leaves_out_what_was_wrong_before() -> None:
    net, x, y = batch()
    other = y.clone()
    other[0] = (y[0] + 1) % 10
    found = worker.judged(net, x, x, other, budget("cw-l2-40", eps=0.01))
    assert found["fooled"] == "1" + "0" * (len(x) - 1)
    assert found["norm"] is None


def test_an_attack_leaves_gradients_of_weights_to_the_tool() -> None:
    """Every tool meets a net whose weights want gradients and have none, as users hand it over."""
    net, x, y = batch()
    seen: list[tuple[bool, bool]] = []

    def call(few: Tensor, own: Tensor) -> Tensor:
        del own
        weights = list(net.parameters())
        seen.append((all(w.requires_grad for w in weights), all(w.grad is None for w in weights)))
        return few

    net.requires_grad_(False)
    worker.attacked(Built(call=call), net, x, y, 3)
    assert seen == [(True, True), (True, True)]


# budgets and packages


def test_every_attack_has_a_budget_and_ours_has_every_attack() -> None:
    net, _, _ = batch()
    for name in ATTACKS:
        asked = budget(name, eps=8 / 255)
        assert asked.steps == ATTACKS[name][1]
        assert isinstance(ours.build(net, asked, 0), Built)
    assert budget("pgd-10", eps=8 / 255).step_size == pytest.approx(2 / 255)
    assert budget("mi-fgsm-10", eps=8 / 255, steps=3).step_size == pytest.approx(0.8 / 255)
    assert set(RADII) == set(reference_nets.NETS)


def test_a_tool_is_found_in_its_own_folder(tmp_path: Path) -> None:
    assert not packages.installed("art", None)
    assert not packages.installed("art", tmp_path)
    (tmp_path / "art" / "art").mkdir(parents=True)
    assert packages.installed("art", tmp_path)
    paths = packages.environment("art", tmp_path)["PYTHONPATH"].split(os.pathsep)
    assert paths[-1] == str(tmp_path / "art")
    assert packages.installed("vicinal", None)
    own = packages.environment("vicinal", tmp_path)["PYTHONPATH"]
    assert str(tmp_path) not in own


# rounds


def plan(tmp_path: Path, **words: Any) -> rounds.Plan:
    given: dict[str, Any] = {
        "budgets": {"erm": [budget("pgd-10", eps=1 / 255, steps=2)]},
        "tools": ["vicinal", "vicinal, plain", "bare passes"],
        "repeats": 2,
        "images": 3,
        "place": Place(net="", images=Path()),
        "file": tmp_path / "lines.jsonl",
    }
    return rounds.Plan(**{**given, **words})


def test_rounds_turn_round_and_finished_runs_are_not_run_again(tmp_path: Path) -> None:
    whole = plan(tmp_path)
    order = [(one.tool, one.repeat) for one in rounds.pending(whole)]
    tools = list(whole.tools)
    assert order == [*((t, 0) for t in tools), *((t, 1) for t in tools[::-1])]
    key = {
        "net": "erm", "attack": "pgd-10", "tool": "vicinal", "repeat": 1, "images": 3,
        "batch": 250, "eps": 1 / 255, "device": "cpu", "threads": 1,
    }  # fmt: skip
    records.append(whole.file, {"kind": "attack", **key})
    records.append(whole.file, {"kind": "attack", **key, "repeat": 0, "error": "broke"})
    left = [(one.tool, one.repeat) for one in rounds.pending(whole)]
    assert left == [pair for pair in order if pair != ("vicinal", 1)]
    more = dataclasses.replace(whole, images=4)
    assert len(rounds.pending(more)) == len(order)


def play(whole: rounds.Plan) -> list[tuple[rounds.Run, Mapping[str, Any]]]:
    told: list[tuple[rounds.Run, Mapping[str, Any]]] = []
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((3, 3, 32, 32), dtype=np.float32))
    y = reference_nets.load("erm")(x).argmax(dim=1)
    rounds.run(whole, x, y, command="here", tick=lambda one, answer: told.append((one, answer)))
    return told


def test_two_tools_in_processes_of_their_own_write_lines_and_are_not_run_twice(
    tmp_path: Path,
) -> None:
    whole = plan(tmp_path, tools=["vicinal, plain", "foolbox"], repeats=1)
    answers = {one.tool: answer for one, answer in play(whole)}
    assert "error" not in {**answers["foolbox"], **answers["vicinal, plain"]}
    assert (answers["vicinal, plain"]["forward"], answers["vicinal, plain"]["backward"]) == (9, 6)
    assert answers["foolbox"]["version"].startswith("3.")
    lines = records.read(whole.file)
    assert [line["tool"] for line in lines] == ["vicinal, plain", "foolbox"]
    assert all(line["sha256"]["erm"] == reference_nets.card("erm")["sha256"] for line in lines)
    assert play(whole) == []


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        ({}, 0),
        ({"code": "another"}, 2),
        ({"sha256": {"erm": "another"}}, 4),
        ({"sha256": {"pgd": "another"}}, 0),
        ({"version": "0.0"}, 4),
    ],
)
def test_a_line_of_other_weights_or_other_code_is_not_a_finished_run(
    tmp_path: Path, words: dict[str, Any], runs: int
) -> None:
    whole = plan(tmp_path, tools=["vicinal", "foolbox"])
    for one in rounds.pending(whole):
        held = {"eps": 1 / 255, "images": 3, "batch": 250}
        records.append(whole.file, {"kind": "attack", **line(one.tool, one.repeat, **held)})
    old = records.read(whole.file)
    for known in old:
        del known["version"]
    records.rewrite(whole.file, old)
    assert rounds.pending(whole) == []
    records.rewrite(whole.file, [{**known, **words} for known in old])
    assert len(rounds.pending(whole)) == runs
    records.append(whole.file, {**old[0], "seconds": 9.0, "code": packages.own_code()})
    (newest, *_) = rounds.finished(whole).values()
    assert newest["seconds"] == 9.0
    assert len(rounds.finished(whole)) == len(old)


def test_a_process_that_cannot_begin_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with Worker.started("vicinal", Place(net="erm", images=tmp_path / "none.npz")) as one:
        answer = one.ask(budget("fgsm", eps=0.1), seed=0)
    assert "none.npz" in answer["error"]


# the page


def line(tool: str, repeat: int = 0, **words: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "kind": "attack", "net": "erm", "attack": "pgd-10", "kind_of_attack": "pgd", "tool": tool,
        "repeat": repeat, "images": 4, "batch": 4, "eps": 1 / 255, "device": "cpu", "threads": 1,
        "seconds": 1.0, "forward": 40, "backward": 36, "peak": 2**21, "fooled": "0011",
        "robust": 50.0, "outside": 0, "norm": 0.5, "levers": "", "note": "", "version": "here",
        "command": "c", "commit": "d", "date": "e", "hardware": "f", "torch": "g", "python": "h",
    }  # fmt: skip
    return {**given, **words}


def test_a_row_has_the_median_its_interval_and_the_agreement_of_the_same_round() -> None:
    group = [
        line("vicinal", 0, seconds=1.0),
        line("vicinal", 1, seconds=2.0, fooled="1100"),
        line("foolbox", 0, seconds=3.0, fooled="0111", version="3.3.4", robust=25.0),
        line("foolbox", 1, seconds=4.0, fooled="1100", version="3.3.4"),
    ]
    text = tables.section(group, tools=["vicinal", "foolbox"], base="vicinal")
    row = next(part for part in text.splitlines() if part.startswith("| foolbox"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "foolbox 3.3.4",
        "37.50 [25.0, 50.0]",
        "875 [750, 1e+03]",
        "2.5 [2, 3]",
        "10.0+9.0",
        "2",
        "87.5",
        "0.5000",
    ]
    assert "at 1/255, 4 images" in text


def test_the_page_says_how_to_get_what_is_not_installed() -> None:
    text = tables.page("t", [line("vicinal")], tools=["vicinal", "art"], peers=None)
    assert "art: not installed; `pip install --no-deps --target PEERS/art adversarial-" in text


def test_targets_are_met_or_not() -> None:
    group = [
        line("vicinal", seconds=6.4),
        line("vicinal, plain", seconds=10.6),
        line("bare passes", seconds=10.0),
        line("foolbox", seconds=10.0, robust=49.6),
        line("art", seconds=20.0, robust=10.0, note="other steps"),
    ]
    rows = [part for part in targets(group).splitlines() if part.startswith("| erm")]
    assert [row.rstrip("| ").rpartition(" ")[2] for row in rows] == ["no", "no", "yes"]
    assert "+0.40 against foolbox" in rows[1]
    assert "0.640 of foolbox's" in rows[2]
    closer = [line("vicinal", seconds=6.6), *group[3:4]]
    closer[1] = {**closer[1], "robust": 49.7}
    rows = [part for part in targets(closer).splitlines() if part.startswith("| erm")]
    assert [row.rstrip("| ").rpartition(" ")[2] for row in rows] == ["yes", "no"]
    standard: dict[str, Any] = {"kind_of_attack": "standard", "attack": "autoattack"}
    both = [
        line("vicinal", seconds=6.0, **standard),
        line("pyautoattack", seconds=10.0, **standard),
    ]
    assert targets(both).count("| yes |") == 2
    assert targets([line("vicinal")]) == ""
    carlini: dict[str, Any] = {"kind_of_attack": "cw-l2", "attack": "cw-l2-40"}
    for norm, met in ((0.51, "yes"), (0.511, "no"), (0.1, "yes")):
        both = [line("vicinal", norm=norm, **carlini), line("adv-lib", **carlini)]
        assert targets(both).rstrip("| \n").endswith(met)


@pytest.mark.parametrize("words", [{"device": "cuda"}, {"batch": 2}, {"threads": 4}])
def test_runs_of_other_machines_batches_or_threads_are_not_divided(words: dict[str, Any]) -> None:
    slow = [line("vicinal", seconds=6.4), line("foolbox", seconds=10.0)]
    fast = [{**one, **words, "seconds": one["seconds"] / 100} for one in slow]
    rows = targets([*slow, *fast[::-1]])
    assert rows.count("0.640 of foolbox's") == 2
    text = tables.page("t", [*slow, *fast], tools=["vicinal", "foolbox"], peers=None)
    assert text.count("## erm, pgd-10 at 1/255, 4 images") == 2
    assert text.count("| 1.56 |") == 2


def test_a_ratio_pairs_rounds() -> None:
    group = [line("vicinal", n, seconds=n + 1.0) for n in range(3)]
    group += [line("art", n, seconds=2.0 * (n + 1)) for n in range(2)]
    found = ratio(group, "vicinal", "art")
    assert found is not None
    assert (found[0], found[1].low, found[1].high) == (0.5, 0.5, 0.5)
    assert ratio(group, "vicinal", "foolbox") is None


# the commands


def test_what_was_typed_is_written_down_without_folders_of_a_machine() -> None:
    typed = ["--peers", "/a/b", "--images", "5", "--out", "x y", "--tools", "vicinal, plain"]
    assert attacks.told("python -m benchmarks.attacks", typed) == (
        "python -m benchmarks.attacks --peers PEERS --images 5 --out OUT --tools 'vicinal, plain'"
    )


def test_a_command_without_its_data_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data-dir", str(tmp_path), "--out", str(tmp_path / "out"), "--quiet"]
    assert attacks.main(words) == 2
    assert attacks_against_peers.main(words) == 2
    assert "cifar10" in capsys.readouterr().err
    (tmp_path / "torchattacks" / "torchattacks").mkdir(parents=True)
    assert iterates.main([*words, "--peers", str(tmp_path)]) == 2
    assert attacks.main([*words, "--images", "0"]) == 2
    assert "`images` must be" in capsys.readouterr().err


def test_iterates_are_compared_pixel_by_pixel() -> None:
    one = np.zeros((2, 1, 1, 2), dtype=np.float32)
    other = one.copy()
    other[0, 0, 0, 1] = -0.5
    other[1, 0, 0, 0] = 1e-7
    assert iterates.compared(one, other) == (0.5, 25.0)
    kinds = [(asked.kind, asked.steps) for asked in iterates.budgets("erm", 2)]
    assert kinds == [("fgsm", 1), ("pgd", 1), ("pgd", 2), ("mi-fgsm", 1), ("mi-fgsm", 2)]
    assert all(asked.last and not asked.start for asked in iterates.budgets("erm", 2))
