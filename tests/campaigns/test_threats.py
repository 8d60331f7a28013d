"""An attack's text is its key: it must read back to the attack with the paper's budget."""

from __future__ import annotations

import math

import pytest
import torch

from vicinal import attacks
from vicinal.campaigns.threats import SOURCE_SEED, Threat, source_name
from vicinal.recipes import parse_attack

STD = (0.2470, 0.2435, 0.2616)
PGD = Threat(name="pgd", eps=4 / 255, step_size=1 / 255, steps=10, random_start=True)


def test_the_text_reads_back_to_the_papers_pgd() -> None:
    attack = parse_attack(PGD.text(std=STD))
    assert attack == attacks.PGD(
        eps=4 / 255, step_size=1 / 255, steps=10, random_start=True, iterate="last"
    )


def test_the_text_reads_back_to_fgsm() -> None:
    assert parse_attack(Threat(name="fgsm", eps=0.1).text(std=())) == attacks.FGSM(eps=0.1)


def test_normalised_space_scales_eps_and_step_by_the_deviation_of_each_channel() -> None:
    twin = Threat(**{**vars(PGD), "space": "normalised"})
    attack = parse_attack(twin.text(std=STD))
    assert isinstance(attack, attacks.PGD)
    torch.testing.assert_close(attack.eps, torch.tensor(STD) * 4 / 255)
    torch.testing.assert_close(attack.step_size, torch.tensor(STD) / 255)


def test_the_unbounded_check_has_no_ball_and_no_random_start() -> None:
    unbounded = Threat(name="pgd", eps=math.inf, step_size=0.01, steps=200)
    attack = parse_attack(unbounded.text(std=()))
    assert isinstance(attack, attacks.PGD)
    assert (attack.eps, attack.step_size, attack.steps) == (math.inf, 0.01, 200)
    assert not attack.random_start


def test_a_black_box_attack_names_its_source() -> None:
    asked = []

    def load(name: str) -> torch.nn.Module:
        asked.append(name)
        return torch.nn.Identity()

    black = Threat(**{**vars(PGD), "black_box": True})
    attack = parse_attack(black.text(std=STD), load=load)
    assert isinstance(attack, attacks.Transfer)
    assert asked == [source_name()] == [f"erm-seed{SOURCE_SEED}"]
    assert attack.attack == parse_attack(PGD.text(std=STD))


@pytest.mark.parametrize(
    "field",
    ["eps", "step_size", "steps", "random_start", "black_box", "space", "loss", "target"],
)
def test_two_different_threats_never_share_a_text(field: str) -> None:
    other = {
        "space": "normalised",
        "random_start": False,
        "black_box": True,
        "loss": "margin",
        "target": "random",
    }.get(field, 3)
    assert Threat(**{**vars(PGD), field: other}).text(std=STD) != PGD.text(std=STD)


def test_texts_of_earlier_campaigns_are_as_they_were() -> None:
    """They are keys in results: a changed letter would have everything measured again."""
    shown = "pgd(eps=4/255, step_size=1/255, steps=10, random_start=True, iterate=last)"
    assert PGD.text(std=STD) == shown
    assert Threat(name="fgsm", eps=0.1).text(std=STD) == "fgsm(eps=0.1)"
    black = Threat(**{**vars(PGD), "black_box": True, "source": "ls-0.8", "target": "random"})
    shown = shown[:-1] + ", target=random)"
    assert black.text(std=STD) == f"transfer(source='ls-0.8-seed1000', attack={shown})"


def test_two_recipes_of_a_source_never_share_a_text() -> None:
    black = Threat(**{**vars(PGD), "black_box": True})
    other = Threat(**{**vars(black), "source_recipe": "m-tlat/imagenet-100-vgg16"})
    assert other.text(std=STD) != black.text(std=STD)
    assert source_name("erm", "m-tlat/imagenet-100-vgg16") in other.text(std=STD)


def test_momentum_and_the_carlini_wagner_attack_read_back() -> None:
    momentum = Threat(name="mi_fgsm", eps=0.04, step_size=0.004, steps=10)
    wanted = attacks.MIFGSM(eps=0.04, step_size=0.004, steps=10, iterate="last")
    assert parse_attack(momentum.text(std=())) == wanted
    carlini = Threat(name="cw_l2", eps=math.inf, steps=40, confidence=50.0)
    assert parse_attack(carlini.text(std=())) == attacks.CWL2.m_tlat()


def test_two_sources_never_share_a_text_and_each_is_a_folder_of_its_own() -> None:
    black = Threat(**{**vars(PGD), "black_box": True})
    other = Threat(**{**vars(black), "source": "ls-0.8"})
    assert other.text(std=STD) != black.text(std=STD)
    assert source_name("ls-0.8") == f"ls-0.8-seed{SOURCE_SEED}"
    assert source_name("ls-0.8") in other.text(std=STD)


def test_a_targeted_attack_on_the_margin_reads_back() -> None:
    threat = Threat(**{**vars(PGD), "loss": "margin", "target": "least_likely"})
    attack = parse_attack(threat.text(std=STD))
    assert isinstance(attack, attacks.PGD)
    assert (attack.loss, attack.target) == ("margin", "least_likely")
