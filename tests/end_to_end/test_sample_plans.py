"""The sample plans are what they say: valid, and run for real."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from parexec_tui.cli.preflight import warnings
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.plan.reading.schema import plan_schema
from tests.engine.engines import PAREXEC
from tests.hosts.sshd import require_sshd

SAMPLES = Path(__file__).parents[2] / "sample_plans"
NAMES = (
    "quickstart",
    "docs_standardisation",
    "failures",
    "self_check",
    "tour",
    "build",
    "quality_gates",
    "pipeline",
    "pressure",
    "worktrees",
    "agents",
    "matrix",
    "hosts",
)

Record = dict[str, Any]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the samples put their files; the tests start them from somewhere else."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def parexec(*arguments: str | Path, code: int = 0) -> str:
    done = subprocess.run([*PAREXEC, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def run(name: str, code: int = 0) -> tuple[list[Record], dict[str, Record]]:
    """The events of a run, and its tickets at the end, by id."""
    parexec("run", SAMPLES / f"{name}.toml", "--headless", code=code)
    events = [json.loads(line) for line in parexec("events", "--json").splitlines()]
    return events, {ticket["id"]: ticket for ticket in json.loads(parexec("show", "--json"))["tickets"]}


def of_kind(events: list[Record], kind: str) -> list[Record]:
    return [event for event in events if event["kind"] == kind]


def attempts(events: list[Record], ticket: str) -> list[tuple[str, str]]:
    ended = of_kind(events, "attempt_ended")
    return [(event["end"], event["then"]) for event in ended if event["ticket"] == ticket]


def load(name: str) -> Plan:
    file = SAMPLES / f"{name}.toml"
    return read_plan(file.read_text(encoding="utf-8"), source=str(file), folder=str(SAMPLES), format="toml")


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_valid_and_fits_the_schema(name: str) -> None:
    load(name)
    jsonschema.validate(tomllib.loads((SAMPLES / f"{name}.toml").read_text(encoding="utf-8")), plan_schema())


def test_there_is_no_other_sample() -> None:
    assert {file.stem for file in SAMPLES.glob("*.toml")} == set(NAMES)


@pytest.mark.parametrize(
    "name", ["quickstart", "docs_standardisation", "self_check", "tour", "pressure", "pipeline", "hosts"]
)
def test_a_sample_that_shall_succeed_has_no_warning(name: str) -> None:
    assert list(warnings(load(name))) == []


def test_the_failures_are_foreseen_where_they_can_be() -> None:
    about = [warning.split(":")[0] for warning in warnings(load("failures"))]
    assert about == ["agents.robot", "tickets.no-command", "tickets.no-folder"]


@pytest.mark.parametrize("name", NAMES)
def test_titles_are_short_enough_for_a_row(name: str) -> None:
    for id_, ticket in load(name).tickets.items():
        assert 0 < len(ticket.title) <= 90, id_


def test_quickstart_twice_in_a_row(scratch: Path) -> None:
    for _ in range(2):
        events, tickets = run("quickstart")

        assert len(tickets) == 14
        assert {ticket["status"] for ticket in tickets.values()} == {"succeeded"}
        assert attempts(events, "make-3") == [("failed", "backoff"), ("succeeded", "succeeded")]
        waits = {event["ticket"]: event["holder"] for event in of_kind(events, "conflict_found")}
        assert waits["range"] == "count"
        assert {"make-3", "make-4"} <= set(waits), "the disk has two places"
        assert never_together(events, "count", "range")
        assert not list(scratch.iterdir()), "it tidies up"
        report = parexec("log", "report").splitlines()
        assert "numbers:   1000000" in report
        assert len(report) == 5
    assert len(parexec("ls").splitlines()) == 2


def never_together(events: list[Record], *tickets: str) -> bool:
    live: set[str] = set()
    for event in events:
        if event.get("ticket") in tickets and event["kind"] == "attempt_started":
            live.add(event["ticket"])
        if event.get("ticket") in tickets and event["kind"] == "attempt_ended":
            live.discard(event["ticket"])
        if len(live) > 1:
            return False
    return True


def test_docs_standardisation(scratch: Path) -> None:
    events, tickets = run("docs_standardisation")

    assert len(tickets) == 13
    assert {id_[:4] for id_ in tickets} == {"MOD-", "SYS-", "AUD-"}
    assert {ticket["status"] for ticket in tickets.values()} == {"succeeded"}
    for writer in ("MOD-012", "MOD-013", "MOD-014", "AUD-402"):
        assert never_together(events, "MOD-015", writer)
    (folder,) = scratch.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    documents = sorted(folder.glob("docs/*/*.md"))
    assert len(documents) == 6
    for document in documents:
        text = document.read_text(encoding="utf-8")
        assert text.startswith("---\ntitle: "), document
        assert "\n---\n# " in text
        assert "e-mail" not in text
        assert "\r" not in text
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "- [How to use it](docs/guide/usage.md): 9 words" in report
    assert "plan-2019.md is not there" in report
    assert parexec("log", "AUD-404").startswith(report)


ENDS = {
    "fine": ("succeeded", "succeeded"),
    "second-try": ("succeeded", "succeeded"),
    "exit-3": ("failed", "failed"),
    "third-try": ("failed", "failed"),
    "crash": ("failed", "failed"),
    "too-slow": ("failed", "timed out"),
    "stubborn": ("failed", "timed out"),
    "no-command": ("failed", "could not start"),
    "no-folder": ("failed", "could not start"),
    "robot-1": ("failed", "could not start"),
    "robot-2": ("failed", "could not start"),
    "robot-3": ("failed", "could not start"),
    "robot-4": ("failed", "could not start"),
    "after-exit-3": ("skipped", None),
    "after-that": ("skipped", None),
}


def test_each_failure_ends_as_it_says() -> None:
    events, tickets = run("failures", code=1)

    assert {id_: (ticket["status"], ticket.get("end")) for id_, ticket in tickets.items()} == ENDS
    assert tickets["exit-3"]["code"] == 3
    assert tickets["crash"]["signal"] == 11
    assert tickets["after-exit-3"]["because"] == tickets["after-that"]["because"] == "exit-3"
    assert attempts(events, "second-try") == [("failed", "backoff"), ("succeeded", "succeeded")]
    assert attempts(events, "third-try") == [("failed", "backoff"), ("failed", "backoff"), ("failed", "failed")]
    assert [event["agent"] for event in of_kind(events, "agent_quarantined")] == ["robot-1"]
    assert tickets["robot-4"].get("attempt", 0) == 0


@pytest.mark.parametrize("has_compiler", [True, False])
def test_build_does_just_what_a_change_needs(
    tmp_path: Path, has_compiler: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_compiler:
        tools = tmp_path / "tools"
        tools.mkdir()
        for tool in ("sh", "mkdir", "sed", "cat", "sort", "chmod"):
            (tools / tool).symlink_to(str(shutil.which(tool)))
        monkeypatch.setenv("PATH", str(tools))
    elif shutil.which("cc") is None:
        pytest.skip("there is no cc")
    folder = tmp_path / "plan"
    folder.mkdir()
    plan = folder / "build.toml"
    plan.write_text((SAMPLES / "build.toml").read_text(encoding="utf-8"), encoding="utf-8")
    source = folder / "build" / "greet.c"

    def ran() -> set[str]:
        parexec("run", plan, "--headless")
        events = [json.loads(line) for line in parexec("events", "--json").splitlines()]
        return {event["ticket"] for event in of_kind(events, "attempt_started")}

    assert ran() == {"sources", "compiler", "greet", "main", "app", "test"}
    assert (folder / "build" / "said.txt").read_text(encoding="utf-8").startswith("hello\n")
    assert ran() == set()
    source.touch()
    assert ran() == set()
    source.write_text(source.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert ran() == {"greet"}  # what it makes is the same
    header = folder / "build" / "greet.h"
    header.write_text(header.read_text(encoding="utf-8").replace("hello", "good morning"), encoding="utf-8")
    assert ran() == {"greet", "app", "test"}
    assert (folder / "build" / "said.txt").read_text(encoding="utf-8").startswith("good morning\n")
    (folder / "build" / "app").unlink()
    assert ran() == {"app"}


def test_quality_gates_proves_what_it_promises(tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    folder.mkdir()
    plan = folder / "quality_gates.toml"
    plan.write_text((SAMPLES / plan.name).read_text(encoding="utf-8"), encoding="utf-8")
    parexec("run", plan, "--headless", "--yes")
    events = [json.loads(line) for line in parexec("events", "--json").splitlines()]
    tickets = {ticket["id"]: ticket for ticket in json.loads(parexec("show", "--json"))["tickets"]}

    assert {id_ for id_, ticket in tickets.items() if ticket["status"] != "succeeded"} == {"migrate"}
    tries = [event["step"] for event in of_kind(events, "step_ended") if not event["passed"]]
    assert tries == ["gate-2"], "one gate is tried again"
    assert attempts(events, "fit") == [("failed", "backoff"), ("succeeded", "succeeded")]
    kinds = [event["kind"] for event in events if event.get("service") == "web"]
    assert (kinds[0], kinds[-1]) == ("service_started", "service_ended")
    assert "service_ready" in kinds
    (stopped,) = of_kind(events, "check_failed")
    assert (stopped["ticket"], stopped["check"]) == ("fit", "converges")
    assert [event["ticket"] for event in of_kind(events, "rollback_started")] == ["migrate"]
    with closing(sqlite3.connect(folder / "quality" / "shop.db")) as shop:
        assert shop.execute("select count(*), sum(cents) from orders where cents > 0").fetchone()[1] > 400
        assert [row[1] for row in shop.execute("pragma table_info(orders)")] == ["id", "cents"]
    (approved,) = of_kind(events, "ticket_approved")
    assert (approved["ticket"], approved["by"]) == ("publish", "--yes")
    started = [event["ticket"] for event in of_kind(events, "attempt_started")]
    assert started.index("@results") < started.index("migrate") < started.index("publish")
    assert started[-2:] == ["@plan", "tidy"]
    assert sorted(file.name for file in (folder / "quality" / "published").iterdir()) == ["fit.txt", "page.html"]


def test_self_check_names_what_there_is() -> None:
    plan = load("self_check")
    assert Path(plan.workdir) == SAMPLES.parent
    shards = [word for ticket in plan.tickets.values() for word in ticket.run.split() if word.startswith("tests/")]
    ignored = [word.split("=")[1] for word in plan.tickets["test-rest"].run.split() if word.startswith("--ignore=")]
    assert shards == ignored == ["tests/core", "tests/registry", "tests/engine"]
    assert all((SAMPLES.parent / folder).is_dir() for folder in shards)


@pytest.mark.parametrize("active", [True, False])
def test_self_check_finds_the_tools_of_the_virtual_environment(
    tmp_path: Path, active: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where parexec was started as .venv/bin/parexec, and no environment is active."""
    monkeypatch.setenv("PATH", os.defpath)
    if active:
        monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "elsewhere"))
    else:
        monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    tools = tmp_path / ("elsewhere" if active else ".venv") / "bin"
    tools.mkdir(parents=True)
    tool = tools / "lint-imports"
    tool.write_text("#!/bin/sh\necho found\n", encoding="utf-8")
    tool.chmod(0o755)
    command = [word.replace("{run}", "lint-imports") for word in load("self_check").agents["checker"].whole_command]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "found\n", done.stderr


@pytest.mark.slow
def test_the_tour_has_something_of_everything() -> None:
    events, tickets = run("tour", code=1)
    ends = {id_: ticket.get("end") for id_, ticket in tickets.items() if ticket["status"] != "succeeded"}
    assert ends == {"browser-tests": "failed", "deploy": None, "smoke": None}
    again = ("failed", "backoff")
    assert attempts(events, "fetch-asia") == [again, again, ("succeeded", "succeeded")]
    assert {event["ticket"] for event in of_kind(events, "conflict_found")} >= {"train-large"}


def test_pressure_freezes_one_stops_it_and_all_finish() -> None:
    """It takes about 15 seconds: the steps are a second apart, and what attempts use is looked at every two."""
    events, tickets = run("pressure")
    assert {ticket["status"] for ticket in tickets.values()} == {"succeeded"}
    assert never_together(events, "honest-1", "honest-2")
    raised = [event["step"] for event in of_kind(events, "pressure_raised")]
    assert raised[:5] == ["warn", "hold", "fewer", "freeze", "requeue"]
    frozen = of_kind(events, "attempt_frozen")
    assert (frozen[0]["ticket"], frozen[0]["pressure"]) == ("liar-3", "memory")
    assert attempts(events, "liar-3") == [("stopped", "waiting"), ("succeeded", "succeeded")]
    assert not any(event.get("charged") for event in of_kind(events, "attempt_ended"))
    stopped = events.index(next(event for event in events if event["kind"] == "attempt_stop_requested"))
    used = [sum(event.get("used", {}).values()) for event in of_kind(events[stopped:], "memory_measured")]
    assert max(used, default=0) <= 400 * 2**20, "from then on the plan keeps to its amount"


def test_of_eight_agents_in_one_repository_two_conflict_and_all_is_merged(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)  # it stands in a checkout, as this one does
    plan = tmp_path / "worktrees.toml"
    shutil.copy(SAMPLES / plan.name, plan)
    parexec("run", plan, "--headless")
    events = [json.loads(line) for line in parexec("events", "--json").splitlines()]
    ended = {event["ticket"]: event["end"] for event in of_kind(events, "attempt_ended")}
    assert set(ended.values()) == {"succeeded"}
    assert len(ended) == 10
    again = {event["ticket"]: event["tickets"] for event in of_kind(events, "work_conflicted")}
    assert len(again) == 2
    for pair in ({"version-two", "version-next"}, {"greet-warmly", "greet-loudly"}):
        (loser,) = pair & again.keys()
        assert pair - {loser} <= set(again[loser])
        assert attempts(events, loser) == [("stopped", "waiting"), ("succeeded", "succeeded")]
    assert len(of_kind(events, "work_merged")) == 8


def test_pipeline_generates_what_it_does_and_masks_its_secret() -> None:
    _, tickets = run("pipeline")
    assert len(tickets) == 11
    assert {id_: ticket["status"] for id_, ticket in tickets.items() if ticket["status"] != "succeeded"} == {
        "alarm": "not wanted"
    }
    assert parexec("log", "sum").strip() == "4 files, 900 lines"
    assert "part 2 *** 180" in parexec("log", "count-2")


def test_the_pipeline_beside_that_of_snakemake_does_the_same(tmp_path: Path) -> None:
    page = (SAMPLES.parent / "parexec_tui" / "docs" / "importing.md").read_text(encoding="utf-8")
    section = page.partition("### Side by side: a pipeline")[2]
    snakefile, plan = re.findall(r"```(?:python|toml)\n(.*?)```", section, re.DOTALL)[:2]
    assert (len(snakefile.splitlines()), len(plan.splitlines())) == (37, 18)
    (tmp_path / "plan.toml").write_text(plan)
    parexec("run", str(tmp_path / "plan.toml"), "--headless")
    assert (tmp_path / "sum").read_text() == "4 files, 900 lines\n"  # as the Snakefile has it, with Snakemake 9.27


def test_a_night_of_coding_agents(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(Path(sys.executable).parents[1]))  # the plan answers by `parexec`
    plan = tmp_path / "agents.toml"
    shutil.copy(SAMPLES / plan.name, plan)
    shutil.copytree(SAMPLES / "agents", tmp_path / "agents")
    parexec("run", plan, "--headless")
    events = [json.loads(line) for line in parexec("events", "--json").splitlines()]
    limited = [event["ticket"] for event in of_kind(events, "attempt_ended") if event["end"] == "limited"]
    assert limited == ["search"], "the account rests once, for one attempt"
    started = {event["ticket"]: event for event in of_kind(events, "attempt_started")}
    assert started["manual"]["agent"] == "codex-1"
    assert attempts(events, "search") == [("limited", "waiting"), ("succeeded", "succeeded")]
    assert attempts(events, "total") == [("failed", "backoff"), ("succeeded", "succeeded")]
    (loser,) = {event["ticket"] for event in of_kind(events, "work_conflicted")}
    assert attempts(events, loser) == [("stopped", "waiting"), ("succeeded", "succeeded")]
    calls = [json.loads(line) for file in scratch.rglob("calls.jsonl") for line in file.read_text().splitlines()]
    (asked,) = of_kind(events, "ticket_asks")
    (answered,) = of_kind(events, "ticket_answered")
    assert (asked["ticket"], answered["answer"]) == ("tidy", "yes")
    going_on = [call["conversation"] for call in calls if call["goes_on"]]
    assert len(going_on) == 3, "each second attempt goes on in the conversation of the first"
    assert set(going_on) <= {call["conversation"] for call in calls if not call["goes_on"]}
    assert json.loads(parexec("status", "--json"))["spent"]["total"]["cost"] > 0.05


def test_matrix_is_twelve_tickets_of_three_tables_and_some_of_it_may_be_run() -> None:
    _, tickets = run("matrix")
    assert len(tickets) == 12
    assert {ticket["status"] for ticket in tickets.values()} == {"succeeded"}
    assert tickets["image-debian"]["values"]["tag"].startswith("debian-")
    assert "test-fedora-busybox" not in tickets
    expanded = parexec("validate", SAMPLES / "matrix.toml", "--expanded", "--set", "size=7")
    assert (
        read_plan(expanded, source="p", folder="/", format="toml").tickets["test-debian-bash"].run.count(" 7 ") == 1
    )


def test_hosts_run_tickets_on_the_loopback_host_of_hosts_try() -> None:
    require_sshd()
    assert parexec("hosts", "--try").startswith("set up: ")
    try:
        events, tickets = run("hosts")
        assert {ticket["status"] for ticket in tickets.values()} == {"succeeded"}
        host_of = {event["agent"]: event.get("host", "") for event in of_kind(events, "agent_started")}
        on = {event["ticket"]: host_of[event["agent"]] for event in of_kind(events, "attempt_started")}
        assert {on[f"part-{n}"] for n in range(1, 7)} == {"left", "right"}
        assert {on[f"train-{size}"] for size in ("small", "middle", "large")} == {"right"}
        assert (on["numbers"], on["total"]) == ("", "")
        gpus = {parexec("log", f"train-{size}").split()[-1] for size in ("small", "middle", "large")}
        assert gpus == {"0", "1"}
        assert not never_together(events, "train-small", "train-middle", "train-large")
        looked = [line.split(":")[0] for line in parexec("hosts", SAMPLES / "hosts.toml").splitlines()]
        assert looked[1:3] == ["fine  left", "fine  right"]
    finally:
        assert parexec("hosts", "--try", "--remove") == "removed\n"
