"""Under which circumstances a run was made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from vicinal.recipes.environment import environment, processor


def test_the_facts_are_plain_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    facts = environment(torch.device("cpu"), data_dir="sets")
    assert json.loads(json.dumps(facts)) == facts
    assert facts["data_dir"] == str(tmp_path / "sets")
    assert facts["threads"] == torch.get_num_threads()
    assert facts["accelerator"] is None


def test_the_processor_is_named_without_linux_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Path, encoding: str = "") -> str:
        raise FileNotFoundError(self, encoding)

    monkeypatch.setattr(Path, "read_text", missing)
    assert processor()
