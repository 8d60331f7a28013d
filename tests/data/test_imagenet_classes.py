from __future__ import annotations

import re

from vicinal.data.imagenet_classes import WNIDS


def test_a_thousand_different_ids_in_the_order_of_sorted_folders() -> None:
    assert len(set(WNIDS)) == 1000
    assert list(WNIDS) == sorted(WNIDS)
    assert all(re.fullmatch(r"n\d{8}", wnid) for wnid in WNIDS)


def test_classes_that_everybody_knows() -> None:
    """Tench, Chihuahua, golden retriever, tabby cat, panda and toilet tissue."""
    known = {0: "n01440764", 151: "n02085620", 207: "n02099601", 281: "n02123045"}
    known |= {388: "n02510455", 999: "n15075141"}
    assert {place: WNIDS[place] for place in known} == known
