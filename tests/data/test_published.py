from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from vicinal._checks import InputError
from vicinal.data.image_set import ImageSet, Split
from vicinal.data.published import check_shape, warn_of_size

PART = Split(x=torch.zeros(2, 1, 8, 6, dtype=torch.uint8), y=torch.tensor([0, 1]))
FOUND = ImageSet(name="toy", train=PART, test=PART, num_classes=2)


def test_the_published_shape_passes_and_any_other_is_refused() -> None:
    check_shape(FOUND, Path("here"), shape=(1, 8, 6))
    with pytest.raises(InputError, match=r"here must .*3 channels and 8x6 .*be toy; .*\(1, 8, 6\)"):
        check_shape(FOUND, Path("here"), shape=(3, 8, 6))
    with pytest.raises(InputError, match="1 channel and 6x8 pixels"):
        check_shape(FOUND, Path("here"), shape=(1, 6, 8))


def test_only_another_size_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="vicinal"):
        warn_of_size(Path("here"), found=(5, 3), published=(5, 3))
        assert not caplog.records
        warn_of_size(Path("here"), found=(5, 2), published=(5, 3))
        warn_of_size(Path("here"), found=(6, 3), published=(5, 3))
    record, _ = caplog.records
    assert record.levelno == logging.WARNING
    said = "here has 5 training and 2 test images; the published set has 5 and 3"
    assert record.getMessage() == said
