"""`parexec show` tells what became of each step, what was said, and what is kept."""

import json
from pathlib import Path
from typing import Any

from tests.engine.engines import run
from tests.engine.lifecycle.detached import parexec

PLAN = """
[tickets.A]
run = "echo x > out"
outputs = ["out"]
snapshot = true
skip_if = "exit 1"
gates = [{ name = "lint", run = "echo wrong; exit 3" }]
[tickets.B]
run = "true"
finally = true
[tickets.C]
run = "exit 4"
on_fail = "rollback"
rollback = "true"
"""


def test_show_tells_of_steps(tmp_path: Path) -> None:
    run(tmp_path, PLAN)
    shown: dict[str, Any] = json.loads(parexec("show", "--json", cwd=tmp_path))
    a, b, c = shown["tickets"]
    assert [(step["step"], step.get("passed"), step.get("log")) for step in a["steps"]] == [
        ("skip-if", False, "A.0.skip-if.log"),
        ("run", True, "A.1.log"),
        ("outputs", True, None),
        ("gate-1", False, "A.1.gate-1.log"),
    ]
    assert a["steps"][-1]["title"] == "lint"
    assert a["steps"][-1]["reason"].startswith("gate lint: exit 3")
    assert all(step["seconds"] >= 0 for step in a["steps"])
    assert a["snapshot"]["attempt"] == 1
    assert (b["finally"], "steps" in b) == (True, False)
    assert [(step["step"], step["passed"]) for step in c["steps"]] == [("run", False), ("rollback", True)]
    status: dict[str, Any] = json.loads(parexec("status", "--json", cwd=tmp_path))
    assert status["steps"] == {"A": a["steps"], "C": c["steps"]}
    text = parexec("show", cwd=tmp_path)
    assert "gate-1 lint  did not pass in " in text
    assert "A.1.gate-1.log" in text
    assert "its files as before attempt 1 are kept: 0 files, 0B" in text
