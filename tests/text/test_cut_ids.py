"""Ids in few cells: no two look alike, and a sentence keeps its words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.text import cut_ids
from parexec_tui.text.cells import cut_middle
from parexec_tui.text.cut_ids import IdCutter, with_short_ids

alike = st.builds(
    lambda parts: "".join(parts),
    st.lists(
        st.sampled_from(["build", "-", "x86_64", "linux", "1", "2", "10", "shard", "aaaa"]), min_size=1, max_size=9
    ),
)


def cut_apart(ids: list[str], width: int, sign: str = "…") -> dict[str, str]:
    """The forms of the ids that are too long."""
    cutter = IdCutter(ids, sign)
    return {id_: cutter.cut(id_, width) for id_ in ids if len(id_) > width}


@given(st.lists(alike, max_size=60, unique=True), st.integers(5, 30), st.sampled_from(["…", "~"]))
def test_no_two_ids_look_alike(ids: list[str], width: int, sign: str) -> None:
    cutter = IdCutter(ids, sign)
    shown = [cutter.cut(id_, width) for id_ in ids]
    assert len(set(shown)) == len(ids)
    assert all(len(form) <= width for form in shown)
    assert [form == id_ for form, id_ in zip(shown, ids, strict=True)] == [len(id_) <= width for id_ in ids]
    assert [cutter.cut(id_, width) for id_ in ids] == shown


@given(st.lists(alike, max_size=60, unique=True), st.integers(0, 4))
def test_in_hardly_any_cells_it_still_fits(ids: list[str], width: int) -> None:
    assert all(len(form) <= width for form in cut_apart(ids, width).values())


def test_an_id_that_none_is_like_loses_its_middle() -> None:
    (form,) = cut_apart(["integration-tests-of-the-database"], 12).values()
    assert form == cut_middle("integration-tests-of-the-database", 12) == "integr…abase"


def test_what_differs_is_kept_wherever_it_is() -> None:
    ids = [f"build-for-{arch}-with-all-options" for arch in ("arm", "x86", "riscv")]
    assert list(cut_apart(ids, 14).values()) == ["build-for-arm…", "build-for-x86…", "build…riscv…"]
    ids = [f"experiment-2031-shard-{number:05d}-of-20000" for number in (1, 2, 12345)]
    assert list(cut_apart(ids, 16).values()) == ["experimen…00001…", "experimen…00002…", "experimen…12345…"]
    ids = [
        f"{step}-{side}-service-{arch}-release"
        for step in ("configure", "compile")
        for side in ("backend", "frontend")
        for arch in ("arm", "x86")
    ]
    assert list(cut_apart(ids, 19).values())[::3] == [
        "config-backend…arm…",
        "config-fronten…x86…",
        "compil-fronten…arm…",
    ]


def test_in_too_few_cells_for_that_the_place_in_the_plan_tells_them_apart() -> None:
    ids = ["a" * length for length in range(12, 18)]
    cut = cut_apart(ids, 8)
    assert len(set(cut.values())) == 6
    assert "aaaaa…#3" in cut.values()


@pytest.mark.parametrize(
    "pattern", ["train-{:05d}-on-the-whole-data", "service-{:04d}-module-07-compile-and-link", "{:05d}" + 40 * "a"]
)
def test_of_many_ids_those_that_are_shown_are_cut_and_no_other_is_looked_at(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [pattern.format(number) for number in range(10_000)]
    compared: list[str] = []
    common = cut_ids._common

    def counted(one: str, other: str) -> int:
        compared.append(one)
        return common(one, other)

    monkeypatch.setattr(cut_ids, "_common", counted)
    cutter = IdCutter(ids)
    assert len({cutter.cut(id_, 12) for id_ in ids[:50]}) == 50
    assert len(compared) <= 4 * 50


@pytest.mark.parametrize(
    ("width", "sentence"),
    [
        (80, "needs integration-tests-of-the-database (running)"),
        (44, "needs integration-…he-database (running)"),
        (36, "needs integratio…-database (running)"),
        (28, "needs integ…base (running)"),
        (24, "needs inte…ase (running)"),
        (10, "needs integr…tabase (running)"),
    ],
)
def test_a_sentence_loses_letters_of_its_ids_before_its_words(width: int, sentence: str) -> None:
    text = "needs integration-tests-of-the-database (running)"
    ids = {"integration-tests-of-the-database", "needs"}
    assert with_short_ids(text, width, ids.__contains__, cut_middle) == sentence
