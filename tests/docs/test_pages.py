"""The pages say what the code does: each table is compared with what it is about."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import jsonschema
import msgspec
import pytest
from click.testing import CliRunner
from msgspec import Struct

from parexec_tui.cli import exits
from parexec_tui.cli.commands import SHORT_NAMES
from parexec_tui.cli.entry import cli
from parexec_tui.core.plan.agent_type import PLACEHOLDERS, AgentType
from parexec_tui.core.plan.expanding.families import FAMILY_KEYS
from parexec_tui.core.plan.expanding.written import WrittenPlan
from parexec_tui.core.plan.gates import Group
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.model import Host
from parexec_tui.core.plan.otel import Otel
from parexec_tui.core.plan.plan_settings import Hooks, PlanSettings
from parexec_tui.core.plan.pressure import Pressure
from parexec_tui.core.plan.reading.fields import decode
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.plan.reading.schema import plan_schema
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.plan.units import Duration, write_duration
from parexec_tui.core.state.status import TABLE, TERMINAL, End
from parexec_tui.core.wire.protocol import StatusReport
from parexec_tui.engine.hook_calls import HookCall
from parexec_tui.engine.serve.hooks import TIMEOUT
from parexec_tui.settings import PruneSettings, ScreenSettings, Settings
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.input.keymap import table_lines
from parexec_tui.tui.theme.file import ANSI_NAMES
from parexec_tui.tui.theme.palette import MEANINGS
from tests.commands import every_command
from tests.docs.pages import DEVELOPERS, FOLDER, PAGES, README, ROOT, first_words, page, quoted, rows, section

PLAN_FILE = page("plan-file")
COMMANDS = page("commands")
RUNNING = page("running")
SETTINGS = page("settings-and-themes")
MODELS: dict[str, type[Struct]] = {
    "`[plan]`": PlanSettings,
    "`[tickets.ID]`, and `[defaults]`": Ticket,
    "`[agents.TYPE]`": AgentType,
    "`[groups.N]` and `[group.NAME]`": Group,
    "`[hosts.NAME]`": HostSpec,
    "`[services.NAME]`": Service,
    "`[pressure]`": Pressure,
    "`[otel]`": Otel,
}

# -- the plan file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heading", MODELS)
def test_every_key_has_a_row_and_the_default_is_the_one_of_the_model(heading: str) -> None:
    model = MODELS[heading]
    defaults = {row[0].strip("`"): row[1] for row in rows(section(PLAN_FILE, heading))}
    assert defaults.keys() == set(model.__struct_encode_fields__)
    for name, text in defaults.items():
        if text.startswith("`"):
            written: dict[str, Any] = tomllib.loads(f"{name} = {text.strip('`')}")
            assert msgspec.convert(written, model, dec_hook=decode) == model(), name
        else:
            assert not getattr(model(), name), name


def test_every_table_of_a_plan_has_a_section() -> None:
    headings = " ".join(re.findall(r"^## (.*)$", PLAN_FILE, re.MULTILINE))
    tables = set(WrittenPlan.__struct_encode_fields__) - {"$schema", "include"}
    assert set(re.findall(r"`\[(\w+)", headings)) == tables
    assert '"$schema" =' in PLAN_FILE
    assert "include = [" in PLAN_FILE


def test_every_key_of_a_family_has_a_row() -> None:
    heading = "Families: `matrix` and `foreach`, `[families.NAME]`"
    assert tuple(row[0].strip("`") for row in rows(section(PLAN_FILE, heading))) == FAMILY_KEYS


def test_every_word_of_a_choice_is_mentioned() -> None:
    keys = section(PLAN_FILE, "`[tickets.ID]`, and `[defaults]`")
    assert all(f'`"{priority.value}"`' in keys for priority in Priority)
    assert all(f"{{{name}}}" in PLAN_FILE for name in PLACEHOLDERS)


def test_every_hook_and_what_it_is_told_has_a_row() -> None:
    words = first_words(section(PLAN_FILE, "`[hooks]`"))
    assert words[: len(Hooks.__struct_fields__)] == list(Hooks.__struct_fields__)
    facts = dict.fromkeys(("session", "plan", "total", "reason", "ticket", "end", "log", "error_line"), "x")
    told = HookCall("on_failure", {**facts, "counts": {}}).environment
    assert set(words[len(Hooks.__struct_fields__) :]) == told.keys()
    assert f"may take {TIMEOUT:g} seconds" in PLAN_FILE


EXAMPLES = [
    (file.name, text)
    for file in (README, FOLDER / "plan-file.md")
    for text in re.findall(r"```toml\n(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL)
]


@pytest.mark.parametrize(("file", "example"), EXAMPLES, ids=[f"{file}-{n}" for n, (file, _) in enumerate(EXAMPLES)])
def test_each_example_is_a_valid_plan(file: str, example: str, tmp_path: Path) -> None:
    document = tomllib.loads(example)
    host = Host(cpus=64, memory=2**40)
    assert read_plan(example, source=file, folder=str(tmp_path), format="toml", host=host).tickets
    jsonschema.validate(document, plan_schema())


# -- how tickets run -------------------------------------------------------------------------------------------


def test_the_table_of_statuses_is_the_one_of_the_code() -> None:
    helped = [
        (row.word, row.glyph, row.ascii_glyph.replace("|", r"\|"), row.help) for row in TABLE.values() if row.help
    ]
    assert [tuple(row) for row in rows(section(RUNNING, "Statuses of a ticket"))] == helped


def test_every_end_has_a_row() -> None:
    assert set(first_words(section(RUNNING, "How a ticket can end"))) == {*map(str, End), *map(str, TERMINAL)}


def test_what_an_attempt_finds_in_its_environment_has_a_row(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(
        '[resources]\ngpu = ["0"]\n[tickets.T]\nrun = "env"\nuses.gpu = 1\nown_tmp = true\ngenerates = "parts"\n',
        encoding="utf-8",
    )
    parexec = (sys.executable, "-c", "from parexec_tui.cli import main; main()")
    subprocess.run([*parexec, "run", "plan.toml", "--headless", "-q"], check=True, cwd=tmp_path, capture_output=True)
    log = subprocess.run([*parexec, "log", "T"], check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    found = set(re.findall(r"^(PAREXEC_[A-Z]+)=", log, re.MULTILINE))
    assert set(first_words(section(RUNNING, "An attempt"))) == found | {"PAREXEC_NOTE", "PAREXEC_VALUES"}


# -- commands --------------------------------------------------------------------------------------------------


def test_every_command_is_in_the_table_and_every_option_on_the_page() -> None:
    named = [row[0].strip("`").split()[1] for row in rows(COMMANDS) if row[0].startswith("`parexec ")]
    assert sorted(named) == sorted(every_command())
    for name, command in every_command().items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert any(f"{option}" in COMMANDS for option in parameter.opts), f"{name} {parameter.opts}"


def test_every_short_form_is_in_the_table() -> None:
    shown = {row[0].strip("`"): row[1].strip("`") for row in rows(COMMANDS) if row[0].strip("`") in SHORT_NAMES}
    assert shown == SHORT_NAMES


def test_every_exit_code_has_a_row() -> None:
    codes = [row[0] for row in rows(section(COMMANDS, "Exit codes"))]
    whole = [exits.SUCCEEDED, exits.UNSUCCESSFUL, exits.BAD_USAGE, exits.STOPPED]
    waits = [*whole, exits.TIMED_OUT, exits.INTERRUPTED]
    verbs = [exits.SUCCEEDED, exits.NOT_DONE, exits.BAD_USAGE, exits.DONE_IN_PART]
    doctor = [exits.SUCCEEDED, exits.UNSUCCESSFUL, exits.BAD_USAGE]
    assert codes == [str(code) for code in (*whole, *waits, *verbs, *doctor)]


def test_every_fact_of_status_has_a_row() -> None:
    words = first_words(section(COMMANDS, "`parexec status --json`"))
    assert sorted(words) == sorted(StatusReport.__struct_encode_fields__)


# -- keys, settings, themes ------------------------------------------------------------------------------------


def test_the_table_of_keys_is_the_one_of_the_screen() -> None:
    assert "\n".join(table_lines(ACTIONS)) in page("keys")


def test_every_action_is_named_for_the_settings() -> None:
    listed = SETTINGS.partition("The actions, in the order of the table of keys")[2].partition(".\n")[0]
    assert quoted(listed)[1:] == [action.name for action in ACTIONS if action.name != "panel"]


def test_every_setting_has_a_row_and_its_default() -> None:
    assert {"screen", "keys", "hooks", "hosts", "pressure", "otel", "prune"} == set(Settings.__struct_fields__)
    assert all(f"| `[{table}]` |" in SETTINGS for table in Settings.__struct_fields__)
    defaults = {row[0].strip("`"): row[1] for row in rows(section(SETTINGS, "Settings")) if len(row) == 3}
    for field in msgspec.structs.fields(ScreenSettings):
        unset = "what suits the terminal"
        assert defaults[field.encode_name] == (unset if field.default is None else f"`{json.dumps(field.default)}`")
    for field in msgspec.structs.fields(PruneSettings):
        value = write_duration(field.default) if field.type is Duration else field.default
        assert defaults[field.encode_name] == f"`{json.dumps(value)}`"


def test_every_theme_has_a_row() -> None:
    assert sorted(first_words(section(SETTINGS, "Themes"))) == sorted(
        file.stem for file in (ROOT / "themes").glob("*.toml")
    )


def test_every_meaning_and_colour_is_named() -> None:
    below = section(SETTINGS, "A theme of your own")
    listed = re.sub(r"\s+", " ", below.partition("The meanings that have a style:")[2].partition("\n- ")[0])
    plain, _, rest = listed.partition("`status-` with each status:")
    statuses, _, families = rest.partition("; ")
    named = quoted(re.sub(r"\(.*?\)", "", plain)) + [f"status-{word}" for word in quoted(statuses)]
    for family in families.split("; "):
        first, *others = quoted(family)
        stem = first.partition("-")[0]
        if first == "lane-1":
            named += [f"lane-{number}" for number in range(1, int(others[0].removeprefix("lane-")) + 1)] + others[1:]
        else:
            named += [first, *(f"{stem}{other}" for other in others)]
    assert sorted(named) == sorted(MEANINGS)
    assert all(f"`{name}`" in below for name in ANSI_NAMES if not name.startswith("bright_"))


# -- all pages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [README, DEVELOPERS, *PAGES], ids=lambda file: file.name)
def test_a_page_reads_well_in_a_terminal(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert re.match(r"# \S", text)
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize("file", [README, DEVELOPERS, *PAGES], ids=lambda file: file.name)
def test_what_a_page_links_to_is_in_the_repository(file: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", file.read_text(encoding="utf-8")):
        linked = (file.parent / target.partition("#")[0]).resolve()
        assert linked.exists(), target
        assert linked.is_relative_to(ROOT), target


@pytest.mark.parametrize("file", [README, DEVELOPERS, *PAGES], ids=lambda file: file.name)
def test_the_commands_that_a_page_names_exist(file: Path) -> None:
    lines = re.findall(r"`([^`\n]+)`|^    \$ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    words = [line.split("#")[0].split() for pair in lines for line in pair]
    used = [line for line in words if line[:1] == ["parexec"] and re.fullmatch("[a-z]+", "".join(line[1:2]))]
    assert [line for line in used if not any(verb.startswith(line[1]) for verb in every_command())] == []
    for line in used:
        if line[1] == "help" and len(line) > 2 and line[2].islower():
            assert CliRunner().invoke(cli, line[1:]).exit_code == 0, line


def test_nothing_in_the_repository_points_to_pages_outside_it() -> None:
    folders = (ROOT / name for name in ("parexec_tui", "tests", "themes", ".ci"))
    files = [file for folder in folders for file in folder.rglob("*") if file.suffix in (".py", ".md", ".toml", "")]
    for file in [README, ROOT / "pyproject.toml", *files]:
        if file.is_file() and file != Path(__file__):
            assert not re.search(r"\b(DESIGN|REVIEW|STYLE)\.md\b", file.read_text(encoding="utf-8")), file


def test_every_library_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    names = {re.match(r"[\w.-]+", requirement)[0] for requirement in wanted}  # type: ignore[index]
    below = section(DEVELOPERS.read_text(encoding="utf-8"), "Libraries, and why each")
    assert {name for row in rows(below) for name in row[0].split(", ")} == names - {"parexec-tui"}
