"""The signs of lines, held against their names in Unicode."""

import unicodedata
from itertools import product

from parexec_tui.tui.drawing.graph.lines import HEAVY, LIGHT, ascii_line, line

ALL = list(product((0, LIGHT, HEAVY), repeat=4))
SIDES = {"UP": 0, "RIGHT": 1, "DOWN": 2, "LEFT": 3}


def arms_by_name(sign: str) -> set[int]:
    """Which arms a sign has, by its name."""
    words = unicodedata.name(sign).replace("VERTICAL", "UP DOWN").replace("HORIZONTAL", "LEFT RIGHT").split()
    return {SIDES[word] for word in words if word in SIDES}


def test_each_sign_has_the_arms_and_weights_asked_for() -> None:
    for arms in ALL[1:]:
        sign = line(*arms)
        assert arms_by_name(sign) == {side for side, weight in enumerate(arms) if weight}
        assert ("HEAVY" in unicodedata.name(sign), "LIGHT" in unicodedata.name(sign)) == (
            HEAVY in arms,
            LIGHT in arms,
        )


def test_no_two_are_alike() -> None:
    assert len({line(*arms) for arms in ALL}) == len(ALL)
    assert line(0, 0, 0, 0) == ascii_line(0, 0, 0, 0) == " "


def test_in_ascii_upright_lines_level_ones_corners_and_junctions_differ() -> None:
    for arms in ALL:
        up, right, down, left = map(bool, arms)
        if up + right + down + left >= 3:
            assert ascii_line(*arms) == "+"
        elif up and down:
            assert ascii_line(*arms) == "|#"[HEAVY in arms]
        elif left and right:
            assert ascii_line(*arms) == "-="[HEAVY in arms]
        elif up + right + down + left == 2:
            assert ascii_line(*arms) in "/\\"
