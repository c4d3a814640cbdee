"""Cells of a text: what is left of an id that is too long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.text.cells import cut_middle, width_of


@pytest.mark.parametrize(
    ("text", "width", "result"),
    [
        ("shard-017", 9, "shard-017"),
        ("shard-linux-017", 11, "shard…x-017"),
        ("shard-linux-017", 10, "shard…-017"),
        ("shard-linux-017", 3, "s…7"),
        ("shard-linux-017", 2, "sh"),
        ("shard-linux-017", 0, ""),
        ("日本語のチケット", 9, "日本…ット"),
        ("日本語のチケット", 8, "日本…ト"),
    ],
)
def test_a_long_id_loses_its_middle(text: str, width: int, result: str) -> None:
    assert cut_middle(text, width) == result


@given(st.text(st.sampled_from("ab-9日é́"), max_size=30), st.integers(0, 40), st.sampled_from(["…", "~"]))
def test_it_is_never_wider_and_keeps_both_ends(text: str, width: int, sign: str) -> None:
    cut = cut_middle(text, width, sign=sign)
    assert width_of(cut) <= width
    if cut != text and width > 4:
        head, _, tail = cut.partition(sign)
        assert text.startswith(head)
        assert text.endswith(tail)
