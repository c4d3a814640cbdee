"""A workflow of GitHub Actions becomes a plan."""

import re
import subprocess
from pathlib import Path

import pytest

import parexec_tui
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted, read
from parexec_tui.importing.toml_text import plan_text

MATRIX = """\
name: CI
on:
  push:
    branches: [main]
permissions:
  contents: read
env:
  FORCE_COLOR: "1"
  TOKEN: ${{ secrets.TOKEN }}
jobs:
  test:
    name: py${{ matrix.python-version }} with ${{ matrix.db }}
    runs-on: ubuntu-latest
    timeout-minutes: 20
    strategy:
      max-parallel: 3
      matrix:
        python-version: ["3.11", "3.12", "3.13"]
        db: [SQLite, postgres, mysql]
        exclude:
          - python-version: "3.13"
            db: sqlite
          - db: none
        include:
          - python-version: "3.14"
            db: mysql
    env:
      DB: ${{ matrix.db }}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: ${{ matrix.python-version }}
      - name: Install
        run: |
          python -m pip install -U pip
          pip install -e .[test]
      - run: tox -e py${{ matrix.python-version }}-${{ matrix.db }}
  report:
    needs: test
    if: always()
    runs-on: ubuntu-latest
    steps:
      - run: make report
"""


def imported(folder: Path, text: str, *parts: str) -> tuple[Draft, Plan]:
    workflows = folder / ".github" / "workflows"
    workflows.mkdir(parents=True, exist_ok=True)
    (workflows / "ci.yml").write_text(text)
    draft = read("github", Wanted(folder, folder, parts))
    return draft, read_plan(plan_text(draft), source="plan.toml", folder=str(folder), format="toml")


def jobs(text: str) -> str:
    return "jobs:\n" + "".join(f"  {line}\n" for line in text.splitlines())


def script(folder: Path, steps: str) -> str:
    """The command of a job with these steps."""
    lines = "".join(f"      {line}\n" for line in steps.splitlines())
    return str(imported(folder, f"jobs:\n  j:\n    steps:\n{lines}")[0].tickets["j"]["run"])


def ran(folder: Path, steps: str) -> tuple[int, str]:
    done = subprocess.run(["bash", "-e", "-c", script(folder, steps)], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_a_matrix_becomes_a_family_that_is_no_longer_than_the_workflow(tmp_path: Path) -> None:
    draft, plan = imported(tmp_path, MATRIX)
    text = plan_text(draft)
    assert len(text.splitlines()) < len(MATRIX.splitlines()) <= 45
    ids = list(plan.tickets)
    assert len(ids) == 10
    assert "test-3.14-mysql" in ids
    assert "test-3.13-SQLite" not in ids
    member = plan.tickets["test-3.12-postgres"]
    assert member.title == "py3.12 with postgres"
    assert member.run.endswith("\ntox -e py3.12-postgres")
    assert member.env == {"FORCE_COLOR": "1", "DB": "postgres"}
    assert draft.tickets["test"]["fail_fast"] is True
    assert draft.tickets["test"]["max_parallel"] == 3
    assert draft.tickets["report"]["after"] == ["test"]
    assert draft.warnings == [
        "ci.yml:31: uses: actions/setup-python@v5 with python-version = ${{ matrix.python-version }}",
        "a machine and a checkout for each job: here they run beside each other in one folder",
    ]
    assert member.secrets == ("TOKEN",)
    for warning in draft.warnings:
        assert f"# not carried over: {warning.removeprefix('ci.yml:31: ')}" in text


def test_values_that_include_adds_make_a_list_of_members(tmp_path: Path) -> None:
    entries = "{py: 3.10, extra: a b}, {py: '3.12', os: x, extra: c}, {os: mac}"
    draft, plan = imported(
        tmp_path,
        jobs(
            "t:\n  strategy:\n    fail-fast: false\n"
            f"    matrix: {{py: ['3.11', 3.10], os: [x, y], include: [{entries}]}}\n"
            "  steps:\n  - run: echo ${{ matrix.py }} ${{ matrix.os }} '${{ matrix.extra }}'"
        ),
    )
    assert [ticket.run for ticket in plan.tickets.values()] == [
        "echo 3.11 x ''",
        "echo 3.11 y ''",
        "echo 3.1 x 'a b'",
        "echo 3.1 y 'a b'",
        "echo 3.12 x 'c'",
        "echo  mac ''",
    ]
    assert len(plan.tickets) == 6
    assert "fail_fast" not in draft.tickets["t"]


def test_a_step_changes_the_shell_of_the_next_one_only_by_the_file_for_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    steps = """\
- run: cd sub && X=1 && pwd > ../where && exit 0
- run: echo "NAME=two words" >> $GITHUB_ENV
- run: echo "$NAME/${X:-unset}/$PWD"
- continue-on-error: true
  run: |
    false
    echo never
- working-directory: sub
  env:
    OWN: it's ${{ env.NAME }}
  run: echo "$OWN in ${PWD##*/}"
- if: env.NAME == 'other' || runner.os != 'Linux'
  run: echo never
- if: "!(env.NAME == 'other') && success()"
  run: |
    cat <<END
    {1..2} ${{ env.NAME }}
    END
"""
    code, said = ran(tmp_path, steps)
    assert said == f"two words/unset/{tmp_path}\nit's two words in sub\n{{1..2}} two words\n"
    assert code == 0
    assert (tmp_path / "where").read_text() == f"{tmp_path}/sub\n"
    assert ran(tmp_path, "- run: cd sub; false\n- run: echo never\n") == (1, "")


def test_shells_are_those_that_github_would_start(tmp_path: Path) -> None:
    assert ran(tmp_path, "- run: false | true\n- shell: bash\n  run: false | true\n- run: echo never\n") == (1, "")
    assert ran(tmp_path, "- shell: python\n  run: |\n    x = 'it'\n    print(x)\n") == (0, "it\n")
    draft, _ = imported(
        tmp_path, jobs("j:\n  steps:\n  - shell: pwsh\n    run: ls\n  - run: ls\n    shell: bash -l {0}")
    )
    assert draft.tickets["j"]["run"] == "# not carried over: step in pwsh: ls (ci.yml:5)\nbash -l -c ls"
    draft, _ = imported(
        tmp_path, "defaults: {run: {shell: bash, working-directory: src}}\n" + jobs("j:\n  steps: [{run: ls}]")
    )
    assert draft.tables["plan"]["shell"] == ["bash", "-eo", "pipefail", "-c"]
    assert draft.tickets["j"] == {"cwd": "src", "run": "ls"}
    both = "j: {steps: [{run: ls}], defaults: {run: {shell: bash}}}\nk: {steps: [{run: pwd}]}\n"
    draft, _ = imported(tmp_path, jobs(both))
    assert draft.tickets["j"]["run"] == "(\nset -o pipefail\nls\n)"
    assert draft.tickets["k"]["run"] == "pwd"


def test_what_nothing_can_say_is_said_at_its_place(tmp_path: Path) -> None:
    text = jobs(
        """\
a:
  runs-on: windows-latest
  container: node:20
  steps:
  - run: make
  - run: deploy ${{ github.sha }}
  - if: github.ref == 'refs/heads/main'
    run: publish
  - if: failure()
    run: cry
b:
  needs: a
  uses: ./.github/workflows/other.yml
c:
  needs: [b]
  if: github.event_name == 'push'
  continue-on-error: true
  steps:
  - run: make c"""
    )
    draft, plan = imported(tmp_path, text)
    assert draft.warnings == [
        "ci.yml:7: ${{ github.sha }}: put its value there",
        "ci.yml:8: step publish, if: github.ref == 'refs/heads/main'",
        "ci.yml:10: step cry, if: failure()",
        "ci.yml:4: container: node:20",
        "ci.yml:3: runs-on: windows-latest: all of it runs on this machine",
        "ci.yml:12: job b: nothing in it can be run here (./.github/workflows/other.yml)",
        "ci.yml:17: if: github.event_name == 'push'; to run it, delete when",
        "a machine and a checkout for each job: here they run beside each other in one folder",
    ]
    assert draft.tickets["a"]["run"].startswith("make\n# not carried over: ${{ github.sha }}: put its value there")
    assert [(id_, tuple(each.needs), each.when, each.allow_failure) for id_, each in plan.tickets.items()] == [
        ("a", (), "", False),
        ("c", ("a",), "false", True),
    ]
    assert list(imported(tmp_path, text, "a")[0].tickets) == ["a"]


def test_a_variable_that_is_left_out_is_told_where_no_other_is(tmp_path: Path) -> None:
    draft, _ = imported(tmp_path, "env: {A: '${{ secrets.B }}'}\n" + jobs("j:\n  steps: [{run: ls}]"))
    assert "# not carried over: A = ${{ secrets.B }}: set it where parexec is started" in plan_text(draft)


def test_services_are_containers_that_are_ready_when_they_say_so(tmp_path: Path) -> None:
    draft, plan = imported(
        tmp_path,
        jobs(
            """\
a:
  services:
    db:
      image: postgres:16
      env: {PASSWORD: it's}
      options: >-
        --health-cmd pg_isready
        --health-interval 10s
      ports: ["15432:5432"]
    cache: {image: redis, ports: [6379]}
    other: {image: "${{ matrix.image }}"}
  steps: [{run: ls}]"""
        ),
    )
    services = draft.tables["services"]
    assert services["db"]["run"] == (
        "docker run --rm --name \"parexec-db\" -p 15432:5432 -e 'PASSWORD=it'\"'\"'s' --health-cmd pg_isready "
        "--health-interval 10s postgres:16"
    )
    assert "{{.State.Health.Status}}" in plan_text(draft)
    assert services["cache"]["ready"] == "tcp:6379"
    assert draft.tickets["a"]["uses_service"] == ["db", "cache"]
    assert draft.warnings == ["ci.yml:12: service other: ${{ matrix.image }}"]
    assert list(plan.services) == ["db", "cache"]


@pytest.mark.parametrize(
    ("text", "parts", "said"),
    [
        ("jobs: [\n", (), "ci.yml:2: it is no YAML: "),
        ("- a\n", (), "it is no table of YAML"),
        ("name: x\n", (), "it has no jobs"),
        ("jobs: {a: {steps: [{run: ls}]}}\n", ("b",), "it has no job 'b'; its jobs: a"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(tmp_path: Path, text: str, parts: tuple[str, ...], said: str) -> None:
    with pytest.raises(ImportFault) as fault:
        imported(tmp_path, text, *parts)
    assert said in str(fault.value)


def test_of_several_workflows_one_has_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(ImportFault, match=r"there is no workflow in it, in \.github/workflows"):
        read("github", Wanted(tmp_path, tmp_path))
    imported(tmp_path, MATRIX)
    (tmp_path / ".github" / "workflows" / "two.yaml").write_text(MATRIX)
    with pytest.raises(ImportFault, match=r"it has 2 workflows: name one of .*ci\.yml, .*two\.yaml"):
        read("github", Wanted(tmp_path, tmp_path))


SUCCEEDED = "(a.status in ['succeeded', 'waived', 'allowed failure'])"
FAILED = "(a.status in ['failed', 'timed out', 'out of memory', 'could not start', 'lost'])"


@pytest.mark.parametrize(
    ("condition", "when", "key"),
    [
        ("success()", "", "needs"),
        ("${{ always() }}", "", "after"),
        ("!cancelled() && (success() || failure())", f"({SUCCEEDED} or {FAILED})", "after"),
        ("failure()", FAILED, "after"),
        ("always() && needs.a.result == 'skipped'", "(a.status in ['skipped', 'not wanted'])", "after"),
        ("'cancelled' != needs.a.result && env.LEVEL == 'full'", "not (a.status == 'cancelled')", "needs"),
        ("env.LEVEL != 'full'", "false", "needs"),
        ("runner.os == 'windows'", "false", "needs"),
    ],
)
def test_the_condition_of_a_job_that_asks_how_others_ended_is_when(
    tmp_path: Path, condition: str, when: str, key: str
) -> None:
    text = "env: {LEVEL: full}\n" + jobs(
        f'a:\n  steps: [{{run: ls}}]\nb:\n  needs: a\n  if: "{condition}"\n  steps: [{{run: ls}}]'
    )
    draft, plan = imported(tmp_path, text)
    assert (plan.tickets["b"].when, getattr(plan.tickets["b"], key)) == (when, ("a",))
    assert not any("if:" in each for each in draft.warnings)


@pytest.mark.parametrize("condition", ["secrets.KEY != ''", "needs.m.result == 'failure'", "needs.a.outputs.x == 1"])
def test_what_a_plan_cannot_say_of_it_is_told_and_it_does_not_run(tmp_path: Path, condition: str) -> None:
    text = jobs(
        "a:\n  steps: [{run: ls}]\nm:\n  strategy: {matrix: {x: [1, 2]}}\n  steps: [{run: ls}]\n"
        f'b:\n  needs: [a, m]\n  if: "{condition}"\n  steps: [{{run: ls}}]'
    )
    draft, plan = imported(tmp_path, text)
    assert plan.tickets["b"].when == "false"
    assert any(f"if: {condition}; to run it, delete when" in each for each in draft.warnings)


def test_the_page_shows_a_workflow_and_the_plan_that_is_made_of_it(tmp_path: Path) -> None:
    page = (Path(parexec_tui.__file__).parent / "docs/importing.md").read_text(encoding="utf-8")
    workflow, plan = re.findall(r"```(?:yaml|toml)\n(.*?)```", page.partition("### Side by side")[2], re.DOTALL)[:2]
    (tmp_path / "ci.yml").write_text(workflow)
    assert plan_text(read("github", Wanted(tmp_path / "ci.yml", tmp_path))) == plan
    assert (workflow.count("\n"), plan.count("\n")) == (40, 30)
