"""The README tells all there is, and its examples work."""

import re
import tomllib
from pathlib import Path
from typing import Any

import click
import jsonschema
import msgspec
import pytest
from msgspec import Struct

from parexec_tui.core.plan.model import PLACEHOLDERS, AgentType, Host, PlanDocument, PlanSettings, Priority, Ticket
from parexec_tui.core.plan.reading.fields import decode
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.plan.reading.schema import plan_schema
from parexec_tui.core.state.events import End
from parexec_tui.tui.input.keymap import readme_table
from tests.commands import every_command

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
MODELS: dict[str, type[Struct]] = {
    "`[plan]`": PlanSettings,
    "`[tickets.ID]`, and `[defaults]`": Ticket,
    "`[agents.TYPE]`": AgentType,
}


def section(heading: str) -> str:
    (_, below) = re.split(f"^#+ {re.escape(heading)}$", README, flags=re.MULTILINE)
    return re.split(r"^#+ ", below, flags=re.MULTILINE)[0]


def table(heading: str) -> dict[str, str]:
    """The table below a heading: the first column to the second."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip("`"): row[1] for row in cells}


@pytest.mark.parametrize("heading", MODELS)
def test_every_key_has_a_row_and_the_default_is_the_one_of_the_model(heading: str) -> None:
    model = MODELS[heading]
    defaults = table(heading)
    for name in model.__struct_encode_fields__:
        text = defaults[name]
        if text.startswith("`"):
            written: dict[str, Any] = tomllib.loads(f"{name} = {text.strip('`')}")
            assert msgspec.convert(written, model, dec_hook=decode) == model(), name
        else:
            assert not getattr(model(), name), name


def test_every_table_of_a_plan_is_mentioned() -> None:
    for field in msgspec.structs.fields(PlanDocument):
        assert f"`[{field.encode_name}" in README or f'"{field.encode_name}"' in README


def test_every_word_of_a_choice_is_mentioned() -> None:
    keys = section("`[tickets.ID]`, and `[defaults]`")
    assert all(f'`"{priority.value}"`' in keys for priority in Priority)
    assert all(f"{{{name}}}" in README for name in PLACEHOLDERS)
    assert {str(end) for end in End} | {"skipped", "waived"} == {
        line.split(" | ")[0].removeprefix("| ")
        for line in section("How a ticket runs").split("How a ticket can end:")[1].splitlines()
        if line.startswith("| ") and not line.startswith(("| end", "| ---"))
    }


def test_every_command_is_in_the_table_and_every_option_somewhere() -> None:
    commands = {name.split()[1]: name for name in table("Commands") if name.startswith("parexec")}
    assert commands.keys() >= every_command().keys()
    for name, command in every_command().items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert any(f"{option}" in README for option in parameter.opts), f"{name} {parameter.opts}"


def test_every_exit_code_is_told() -> None:
    assert list(table("Commands"))[-4:] == ["0", "1", "2", "3"]


def test_the_command_lines_to_install_and_run_are_there() -> None:
    venv = "python3 -m venv .venv && .venv/bin/pip install"
    assert f"\n    {venv} . && .venv/bin/parexec run sample_plans/quickstart.toml --headless\n" in README
    assert f"\n    {venv} -e '.[test]' && .venv/bin/pytest\n" in README


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_each_example_is_a_valid_plan(example: str, tmp_path: Path) -> None:
    host = Host(cpus=64, memory=2**40)
    assert read_plan(example, source="README.md", folder=str(tmp_path), format="toml", host=host).tickets
    jsonschema.validate(tomllib.loads(example), plan_schema())


def test_the_samples_are_named() -> None:
    root = Path(__file__).parents[1]
    named = {name.removeprefix("sample_plans/") for name in re.findall(r"`([\w/]+\.toml)`", README)}
    assert named == {file.name for file in (root / "sample_plans").glob("*.toml")}


def test_it_reads_well_in_a_terminal() -> None:
    for line in README.splitlines():
        assert len(line) <= 120 or line.startswith("|"), line


def test_the_table_of_keys_is_the_one_of_the_screen() -> None:
    assert "\n".join(readme_table()) in README


def test_the_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)
