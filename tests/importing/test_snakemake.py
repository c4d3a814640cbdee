"""The graph of a Snakefile becomes a plan."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted, read
from parexec_tui.importing.snakemake import draft_of
from parexec_tui.importing.snakemake_data import Workflow
from parexec_tui.importing.toml_text import plan_text
from tests.engine.lifecycle.detached import parexec

SNAKEFILE = """\
SAMPLES = ["a", "b"]
rule all:
    input: "report.txt", "flag"
rule count:
    input: "data/{s}.txt"
    output: "out/{s}.count"
    log: "logs/{s}.log"
    threads: 2
    shell:
        '''
        wc -l < {input} >> {output} 2> {log}
        echo '{{x}}' >> {output}
        '''
rule upper:
    input: rules.count.output
    output: "out/{s}.upper"
    run:
        open(output[0], "w").write(open(input[0]).read().upper())
rule report:
    input: expand("out/{s}.upper", s=SAMPLES)
    output: "report.txt"
    shell: "cat {input} > {output}"
rule flag:
    output: touch("flag")
    shell: "true"
"""

FLAGS = [{"path": "d", "flags": ["directory", "touch"]}, {"path": "f", "flags": ["touch"]}]


def job(id_: int, rule: str, needs: tuple[int, ...] = (), **fields: Any) -> dict[str, Any]:
    for key in ("input", "output"):
        fields[key] = [{"path": each} if isinstance(each, str) else each for each in fields.get(key, ())]
    nothing = {"wildcards": {}, "log": [], "benchmark": "", "message": "", "threads": 1, "resources": {}}
    nothing |= {"kind": "shell", "command": "true", "is_open": False, "is_checkpoint": False, "shadow": ""}
    nothing |= {"priority": 0, "retries": 0, "environments": []}
    return nothing | {"id": id_, "rule": rule, "needs": list(needs)} | fields


def imported(folder: Path, *jobs: dict[str, Any], **fields: Any) -> Draft:
    """The plan of jobs as Snakemake tells them."""
    told = {"folder": str(folder), "shell": "/bin/bash", "prefix": "set -euo pipefail; ", "handlers": []} | fields
    workflow = msgspec.convert(told | {"jobs": list(jobs)}, Workflow)
    draft = draft_of(workflow, folder / "Snakefile", folder, folder)
    read_plan(plan_text(draft), source="plan.toml", folder=str(folder), format="toml")
    return draft


def test_jobs_become_tickets_with_what_they_read_and_write(tmp_path: Path) -> None:
    draft = imported(
        tmp_path,
        job(0, "all", (1, 4), kind="none", input=["all.txt"]),
        job(4, "flag", (2,), kind="none", input=["out/a"], output=FLAGS, command=""),
        job(
            1,
            "join",
            (2, 3),
            input=["out/a", {"path": "out/b", "flags": ["ancient"]}],
            output=["all.txt"],
            command="\n    cat {x} > all.txt\n    echo\n    ",
            message="Joining",
            resources={"mem_mb": 100, "runtime": 5, "gpu": 1, "tmpdir": "/tmp"},
        ),
        job(2, "split", output=[{"path": "out/a", "flags": ["directory"]}], wildcards={"s": "a"}, log=["log/a"]),
        job(
            3,
            "split",
            output=["out/b", {"path": "u", "flags": ["update"]}],
            wildcards={"s": "b"},
            threads=2,
            resources={"gpu": 2},
            retries=1,
        ),
    )
    assert draft.warnings == []
    assert draft.tables["plan"]["shell"] == ["bash", "-euo", "pipefail", "-c"]
    assert draft.tables["resources"] == {"gpu": 3}
    assert draft.tickets["split-a"] == {
        "writes": ["out/a/**"],
        "run": "rm -rf -- out/a\nmkdir -p -- log out\ntrue\nls -d -- out/a > /dev/null",
    }
    assert draft.tickets["split-b"]["uses"] == {"cpu": 2, "gpu": 2}
    assert draft.tickets["split-b"]["retries"] == 1
    assert draft.tickets["split-b"]["run"].startswith("rm -rf -- out/b\n")
    assert draft.tickets["flag"]["run"] == "mkdir -p -- d\ntouch -- d f"
    assert draft.tickets["join"] == {
        "title": "Joining",
        "needs": ["split-a", "split-b"],
        "reads": ["out/a/**"],
        "writes": ["all.txt"],
        "estimate": "5m",
        "uses": {"memory": "100MB", "gpu": 1},
        "run": "rm -rf -- all.txt\ncat {{x}} > all.txt\necho\nls -d -- all.txt > /dev/null",
    }


def test_what_is_no_command_is_run_by_snakemake_job_by_job(tmp_path: Path) -> None:
    draft = imported(
        tmp_path,
        job(0, "plot", (1,), kind="script", input=["a"], output=["a plot"], threads=2),
        job(1, "split", output=["a"], is_checkpoint=True),
        job(5, "asks", (1,), input=["a"], output=["asked"], command="echo <TBD> > asked"),
        job(2, "merge", (1,), input=["<TBD>"], output=["merged"], is_open=True),
        job(3, "read", (4,), input=[{"path": "stream", "flags": ["pipe"]}], output=["read"]),
        job(4, "say", (1,), input=["a"], output=[{"path": "stream", "flags": ["pipe"]}]),
    )
    assert sorted(draft.tickets) == ["asks", "merge", "plot", "read", "split"]
    assert draft.tickets["plot"]["run"] == (
        "snakemake --snakefile Snakefile --nolock --cores 2 --force --notemp --allowed-rules plot -- 'a plot'"
    )
    assert draft.tickets["merge"] == {
        "needs": ["split"],
        "writes": ["merged"],
        "up_to_date": False,
        "requires_commands": ["snakemake"],
        "run": "snakemake --snakefile Snakefile --nolock --cores all --force --notemp -- merged",
    }
    assert draft.tickets["read"]["needs"] == ["split"]
    assert draft.tickets["read"]["reads"] == ["a"]
    assert draft.tickets["asks"]["run"].endswith("--cores 1 --force --notemp --allowed-rules asks -- asked")
    assert len(draft.warnings) == 3
    assert draft.comments["tickets", "plot", "run"] == ["Snakemake itself runs this job: it is no command (script)"]


def test_what_cannot_be_carried_over_is_said_once_for_a_rule(tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "output": [{"path": "x", "flags": ["temp"]}],
        "benchmark": "b.tsv",
        "environments": ["conda: e.yaml"],
        "resources": {"mem_mb": 10**12, "partition": "long"},
    }
    draft = imported(
        tmp_path,
        job(0, "r", wildcards={"n": "1"}, **fields),
        job(1, "r", wildcards={"n": "2"}, **fields | {"output": ["y"]}),
        handlers=["onsuccess"],
        prefix="module load x; ",
    )
    assert draft.warnings == [
        "onsuccess: a hook of [hooks] may do what it does",
        f"mem_mb of rule r: this machine has no {10**12} MB",
        "resource partition of rule r: long",
        "temp() of rule r: what is temporary stays",
        "benchmark of rule r: b.tsv is not written",
        "conda: e.yaml of rule r: it runs in the environment of parexec",
    ]
    assert "not carried over: conda: e.yaml of rule r" in draft.comments["tickets", "r-2"][-1]
    assert "module load x; true" in draft.tickets["r-1"]["run"]


@pytest.mark.skipif(shutil.which("snakemake") is None, reason="there is no snakemake")
def test_a_plan_makes_what_snakemake_makes(tmp_path: Path) -> None:
    made = []
    for name in ("own", "plan"):
        folder = tmp_path / name
        (folder / "data").mkdir(parents=True)
        (folder / "data/a.txt").write_text("1\n")
        (folder / "data/b.txt").write_text("1\n2\n")
        (folder / "Snakefile").write_text(SNAKEFILE)
        if name == "own":
            subprocess.run(["snakemake", "--cores", "all"], cwd=folder, check=True, capture_output=True)
        else:
            parexec("import", "snakemake", ".", "-o", "plan.toml", cwd=folder)
            parexec("run", "plan.toml", "--headless", cwd=folder)
        files = [path for path in folder.rglob("*") if path.is_file() and ".snakemake" not in path.parts]
        made.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
    made[1].pop("plan.toml")
    assert made[0] == made[1]
    with pytest.raises(ImportFault, match="MissingRuleException"):
        read("snakemake", Wanted(tmp_path / "own", tmp_path, ("nothing",)))
