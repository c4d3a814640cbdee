"""Where the sample plan of the tour is: in a checkout, and in an installed package."""

import tomllib

from parexec_tui.cli.touring import _sample
from tests.docs.pages import ROOT


def test_the_sample_plan_is_there_and_becomes_a_part_of_the_package() -> None:
    assert _sample() == ROOT / "sample_plans" / "tour.toml"
    assert _sample().is_file()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["sample_plans/tour.toml"] == "parexec_tui/tour.toml"
