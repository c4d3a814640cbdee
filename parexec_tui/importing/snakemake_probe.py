"""Is run by the Python of a Snakemake (7 or later): writes what its `--d3dag` knows, and more, as JSON.

`python snakemake_probe.py FILE ARGUMENTS...`: the arguments are those of snakemake.
"""

import json
import os
import sys
from importlib import import_module
from typing import Any

_KINDS = ("shell", "run", "script", "notebook", "wrapper", "cwl", "template_engine")
_FLAGS = ("ancient", "directory", "pipe", "protected", "service", "temp", "touch", "update")


def main() -> None:
    """Let snakemake make its graph, and write it instead of printing it."""
    path, *arguments = sys.argv[1:]
    del sys.path[0]  # the folder of this file has modules that are called like Snakemake's

    def write(dag: Any, *_: object, **__: object) -> None:
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - any Python
            json.dump(_told(dag), file)

    try:
        run = import_module("snakemake.cli").main
    except ImportError:
        run = import_module("snakemake").main
    import_module("snakemake.dag").DAG.d3dag = write
    run([*arguments, "--d3dag"])


def _told(dag: Any) -> dict[str, Any]:
    shell = import_module("snakemake.shell").shell
    ask_prefix = getattr(shell, "_get_process_prefix", None)
    workflow = dag.workflow
    handlers = ("_onstart", "_onsuccess", "_onerror")
    return {
        "folder": os.getcwd(),  # noqa: PTH109 - any Python
        "shell": shell.get_executable() or "/bin/sh",
        "prefix": ask_prefix() if ask_prefix else shell._process_prefix or "",
        "handlers": [
            name[1:] for name in handlers if getattr(getattr(workflow, name, None), "__name__", "") == f"_{name}"
        ],
        "jobs": _jobs(dag),
    }


def _jobs(dag: Any) -> list[dict[str, Any]]:
    jobs = list(dag.jobs)
    number = {job: at for at, job in enumerate(jobs)}
    before = getattr(dag, "_dependencies", None)
    if before is None:
        before = dag.dependencies
    told = []
    for job in jobs:
        needs = before.get(job, ())
        waits = any(each.is_checkpoint and dag.needrun(each) for each in needs) and _asks(job)
        is_open = waits or any(str(each) == "<TBD>" for each in job.input)
        told.append(_job(job, {"id": number[job], "needs": sorted(map(number.get, needs)), "is_open": is_open}))
    return told


def _asks(job: Any) -> bool:
    """Whether a function says its input: before a checkpoint has run, it names the output of that."""
    return any(
        callable(each) or getattr(each, "_is_function", False) or callable(getattr(each, "callable", None))
        for each in job.rule.input
    )


def _job(job: Any, place: dict[str, Any]) -> dict[str, Any]:
    is_open = place["is_open"]
    kind = "none" if job.is_norun else next((name for name in _KINDS if getattr(job, f"is_{name}", False)), "other")
    return {
        **place,
        "rule": job.rule.name,
        "wildcards": {str(key): str(value) for key, value in job.wildcards_dict.items()},
        "input": [_file(each) for each in job.input],
        "output": [_file(each) for each in job.output],
        "log": [str(each) for each in job.log],
        "benchmark": str(job.benchmark or ""),
        "message": "" if is_open else str(job.message or ""),
        "threads": int(job.threads),
        "resources": {key: value for key, value in job.resources.items() if isinstance(value, (int, float, str))},
        "kind": kind,
        "command": str(job.shellcmd or "") if kind == "shell" and not is_open else "",
        "is_checkpoint": bool(job.is_checkpoint),
        "shadow": str(job.rule.shadow_depth or ""),
        "priority": _number(job.rule.priority),
        "retries": _number(getattr(job.rule, "_restart_times", 0)),
        "environments": _environments(job),
    }


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _file(file: Any) -> dict[str, Any]:
    flags = getattr(file, "flags", {})
    is_remote = bool(getattr(file, "is_storage", False) or getattr(file, "is_remote", False))
    return {
        "path": str(file),
        "flags": [name for name in _FLAGS if flags.get(name)] + (["remote"] if is_remote else []),
    }


def _environments(job: Any) -> list[str]:
    """What its command would run in if snakemake was asked to."""
    found = []
    for name, value in (
        ("conda", getattr(job, "conda_env_spec", None)),
        ("container", getattr(job, "container_img_url", None)),
        ("envmodules", getattr(job, "env_modules", None)),
    ):
        if value:
            found.append(f"{name}: {getattr(value, 'file', value)}")
    return found


if __name__ == "__main__":
    main()
