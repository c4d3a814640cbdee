"""Asks GNU make what it would do: `make -n -B -p --trace`, its own data base and its recipes as they would run."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from parexec_tui.importing.draft import ImportFault

_DATA_BEGINS: Final = "# GNU Make "
_DATA_BASE: Final = "# Make data base, printed on"
_MAKE: Final = ": make"
"""What $(MAKE) stands for meanwhile: make runs such lines also with -n, and this does nothing."""

_TRACED = re.compile(r"\S.*?: (?:update target '(?P<due>.+?)' due to: .*|target '(?P<new>.+?)' does not exist)")
_RULE = re.compile(r"(?P<name>[^#\t\n][^:=]*?)::? *(?P<needs>[^|=]*?)(?:\| *(?P<order>[^=]*))?")
_FROM = re.compile(r"#  recipe to execute \(from '(.*)', line (\d+)\):")
_RUNS_MAKE = re.compile(r"(?<![\w./-]): make(?![\w-])")
_NOT_OF_RECIPES = ("MAKE", "MFLAGS", "PWD", "OLDPWD", "SHLVL", "_", "LC_ALL")
_SECONDS: Final = 120


class Line(NamedTuple):
    """A line of a recipe: a shell of its own runs it."""

    text: str
    runs_make: bool


class Rule(NamedTuple):
    """What make knows of a target."""

    needs: tuple[str, ...]
    order_only: tuple[str, ...]
    is_phony: bool
    also: tuple[str, ...]
    """What its recipe makes as well."""
    where: str
    """File and line of its recipe; empty: it has none."""
    raw: tuple[str, ...]
    """The lines of its recipe as they are written."""


class MakeData(NamedTuple):
    """What make told."""

    rules: dict[str, Rule]
    recipes: dict[str, list[Line]]
    """{target: the lines that would run}, in the order in which one make alone would run them"""
    variables: dict[str, str]
    env: dict[str, str]
    """What make adds to the environment of its recipes."""


def ask_make(file: Path, targets: tuple[str, ...]) -> MakeData:
    """What make would do for these targets, or by default. Raises ImportFault."""
    data = _run(file, "-n", "-p", "-q", *targets, codes=(0, 1))
    variables = _variables(data)
    goals = targets or tuple(variables.get(".DEFAULT_GOAL", "").split())
    if not goals:
        raise ImportFault(str(file), "it has no target: name one")
    # A makefile that is a goal is not made anew with -n, one that is none would be.
    makefiles = [name for name in variables.get("MAKEFILE_LIST", "").split() if (file.parent / name).exists()]
    told = _run(file, "-n", "-B", "-p", "--trace", f"MAKE={_MAKE}", *dict.fromkeys((*makefiles, *goals)))
    trace, _, data = told.partition(_DATA_BEGINS)
    recipes = _recipes(trace)
    for name in makefiles:
        recipes.pop(name, None)
    return MakeData(_rules(data), recipes, variables, _environment(file))


def _run(file: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    try:
        ran = subprocess.run(
            ["make", "-f", file.name, "--no-print-directory", *arguments],
            cwd=file.parent,
            env=env | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise ImportFault(str(file), "GNU make reads it, and there is no make here: install it") from None
    except subprocess.TimeoutExpired:
        raise ImportFault(str(file), f"make took longer than {_SECONDS} s to tell what it would do") from None
    told = ran.stdout.decode("utf-8", "surrogateescape")
    if ran.returncode not in codes:
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines() or [f"make ended with {ran.returncode}"]
        raise ImportFault(str(file), said[-1].removeprefix("make: "))
    if _DATA_BASE not in told and "-p" in arguments:
        raise ImportFault(str(file), "`make` is no GNU make here: install that")
    return told


def _environment(file: Path) -> dict[str, str]:
    told = _run(file, "-s", "--eval", ".PHONY: .parexec-env\n.parexec-env: ; @env -0", ".parexec-env")
    pairs = (entry.partition("=") for entry in told.split("\0") if "=" in entry)
    return {
        name: value
        for name, _, value in pairs
        if not name.startswith(_NOT_OF_RECIPES) and os.environ.get(name) != value
    }


def _variables(data: str) -> dict[str, str]:
    found = re.finditer(r"^([^\s#:=]+) :?= ?(.*)$", data.partition("\n# Files\n")[0], re.MULTILINE)
    return {each[1]: each[2] for each in found}


def _recipes(trace: str) -> dict[str, list[Line]]:
    recipes: dict[str, list[Line]] = {}
    now: list[Line] = []
    for line in logical_lines(trace.splitlines()):
        if traced := _TRACED.fullmatch(line):
            now = recipes.setdefault(traced["due"] or traced["new"], [])
        elif line.strip() and not line.startswith("make: "):
            now.append(Line(_RUNS_MAKE.sub("make", line), bool(_RUNS_MAKE.search(line))))
    return recipes


def logical_lines(lines: list[str]) -> list[str]:
    """Lines, those that end with a backslash together with the next one."""
    joined: list[str] = []
    continues = False
    for line in lines:
        if continues:
            joined[-1] += f"\n{line}"
        else:
            joined.append(line)
        continues = (len(line) - len(line.rstrip("\\"))) % 2 == 1
    return joined


def _rules(data: str) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    files = data.partition("\n# Files\n")[2].partition("\n# files hash-table stats")[0]
    for block in re.split(r"\n(?=\n)", files):
        lines = block.strip("\n").splitlines()
        if not lines or lines[0].startswith("#"):  # `# Not a target:`
            continue
        head = _RULE.fullmatch(lines[0])
        if head is None:
            continue
        place = next((found for line in lines if (found := _FROM.fullmatch(line))), None)
        also = next((line.partition(":")[2].split() for line in lines if line.startswith("#  Also makes:")), [])
        rule = Rule(
            tuple(head["needs"].split()),
            tuple((head["order"] or "").split()),
            any(line.startswith("#  Phony target") for line in lines),
            tuple(also),
            f"{place[1]}:{place[2]}" if place else "",
            tuple(logical_lines([line[1:] for line in lines if line.startswith("\t")])),
        )
        before = rules.get(head["name"])
        if before is not None:  # a target with `::` has several rules
            rule = rule._replace(
                needs=(*before.needs, *rule.needs),
                order_only=(*before.order_only, *rule.order_only),
                raw=(*before.raw, *rule.raw),
            )
        rules[head["name"]] = rule
    return rules
