"""The tour from the command line: where its sample plan is, and what becomes of one that was left."""

import tomllib
from pathlib import Path

import pytest

from parexec_tui.cli.touring import _left, _sample
from parexec_tui.paths import session_folder
from tests.docs.pages import ROOT
from tests.engine.engines import sessions
from tests.engine.lifecycle.detached import parexec


def test_the_sample_plan_is_there_and_becomes_a_part_of_the_package() -> None:
    assert _sample() == ROOT / "sample_plans" / "tour.toml"
    assert _sample().is_file()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["sample_plans/tour.toml"] == "parexec_tui/tour.toml"


@pytest.mark.parametrize(
    ("noted", "said"),
    [
        ("7", "the sample has ended since you left at step 8, so the tour begins again"),
        ("0", ""),
        ("over", ""),
        ("", ""),
    ],
)
def test_why_a_tour_that_was_left_begins_again(tmp_path: Path, own_state_home: Path, noted: str, said: str) -> None:
    assert _left() == ""
    plan = tmp_path / "p.toml"
    plan.write_text('[tickets.a]\nrun = "true"\n', encoding="utf-8")
    parexec("run", "--headless", plan, cwd=tmp_path)
    (name,) = sessions()
    if noted:
        session_folder(name).tour_note.write_text(noted, encoding="utf-8")
    assert _left() == said
