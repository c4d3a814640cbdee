"""Asks GNU make what it would do: its own data base, and its recipes as its shell would get them.

The shell of all recipes is a recorder meanwhile, also that of lines which make runs even if it is only asked. So
nothing is made, no makefile either, and what `$(info ...)` prints is no line of a recipe.
"""

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from parexec_tui.importing.draft import ImportFault

_DATA_BEGINS: Final = "# GNU Make "
_DATA_BASE: Final = "# Make data base, printed on"
_MAKE: Final = ": make"
"""What $(MAKE) stands for meanwhile, so that it is known where it stood."""

_TARGET: Final = "PAREXEC_IMPORT_TARGET"
"""The variable that names the target to the recorder; whoever has none is `$(shell ...)`."""

_ENV: Final = ".parexec-env"
"""The target whose environment is wanted."""

_PROBE: Final = "PAREXEC_SHELL := $(SHELL)\nPAREXEC_SHELLFLAGS := $(.SHELLFLAGS)\n"
"""A makefile after the others: what these are in the end, which may come out of functions."""

_RECORDER: Final = """\
#!/bin/sh
if [ -z "${{{target}+x}}" ]; then exec {shell} "$@"; fi
if [ "${target}" = {env} ]; then exec env -0 > {folder}/env; fi
for text; do :; done
printf '%s\\0%s\\0' "${target}" "$text" >> {folder}/lines
"""

_RULE = re.compile(r"(?P<name>[^#\t\n][^:=]*?)::? *(?P<needs>[^|=]*?)(?:\| *(?P<order>[^=]*))?")
_FROM = re.compile(r"#  recipe to execute \(from '(.*)', line (\d+)\):")
_RUNS_MAKE = re.compile(r"(?<![\w./-]): make(?![\w-])")
_OWN_SHELL = re.compile(r"'override' directive.*\n(?:# )?(?:\S.*: )?SHELL :?= ?(.*)")
_NOT_OF_RECIPES = ("MAKE", "MFLAGS", "PWD", "OLDPWD", "SHLVL", "_", "LC_ALL", _TARGET)
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

    goals: tuple[str, ...]
    rules: dict[str, Rule]
    recipes: dict[str, list[Line]]
    """{target: the lines that would run}, in the order in which one make alone would run them"""
    variables: dict[str, str]
    shell: tuple[str, ...]
    """The words before a line of a recipe."""
    env: dict[str, str]
    """What make adds to the environment of its recipes."""
    is_serial: bool
    """Whether `.NOTPARALLEL` holds."""


def ask_make(file: Path, parts: tuple[str, ...]) -> MakeData:
    """What make would do for these targets, or by default; `NAME=VALUE` sets a variable. Raises ImportFault."""
    with tempfile.TemporaryDirectory(prefix="parexec-make-") as name:
        folder = Path(name).resolve()
        before, env = _overview(file, folder, tuple(part for part in parts if "=" in part))
        variables = _variables(before)
        shell = variables.get("PAREXEC_SHELL") or "/bin/sh"
        flags = variables.get("PAREXEC_SHELLFLAGS", "-c")
        goals = tuple(part for part in parts if "=" not in part) or tuple(variables.get(".DEFAULT_GOAL", "").split())
        if not goals:
            raise ImportFault(str(file), "it has no target: name one")
        recorder = _recorder(folder, shell)
        rules = (f"%: export {_TARGET} = $@", ".SECONDARY:", ".NOTPARALLEL:")
        told = _run(file, "-B", *_evals(rules), f"SHELL={recorder}", f"MAKE={_MAKE}", *parts)
        recipes = _recipes(folder / "lines", (str(recorder), shell))
    return MakeData(
        goals,
        _rules(told.rpartition(_DATA_BEGINS)[2]),
        recipes,
        variables,
        (*shlex.split(shell), *shlex.split(flags)),
        {name: value.replace(str(recorder), shell) for name, value in env.items()},
        re.search(r"^\.NOTPARALLEL:", before, re.MULTILINE) is not None,
    )


def _overview(file: Path, folder: Path, settings: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """The data base without anything made, and the environment of recipes."""
    recorder = _recorder(folder, "/bin/sh")
    rules = (
        f"%: override SHELL = {recorder}",
        f"%: export {_TARGET} = $@",
        ".SECONDARY:",
        f".PHONY: {_ENV}",
        f"{_ENV}: ; env",
    )
    probe = folder / "probe.mk"
    probe.write_text(_PROBE, encoding="utf-8")
    told = _run(file, "-f", str(probe), *_evals(rules), f"MAKE={_MAKE}", *settings, _ENV)
    for value in _OWN_SHELL.findall(told):
        if value != str(recorder):
            raise ImportFault(
                str(file), "it has `override SHELL`, so it cannot be asked without being run: leave `override` out"
            )
    entries = (folder / "env").read_bytes().decode("utf-8", "surrogateescape").split("\0")
    pairs = (entry.partition("=") for entry in entries if "=" in entry)
    return told.rpartition(_DATA_BEGINS)[2], {
        name: value
        for name, _, value in pairs
        if not name.startswith(_NOT_OF_RECIPES) and os.environ.get(name) != value
    }


def _recorder(folder: Path, shell: str) -> Path:
    """The program that stands for a shell. It is called as that is: make takes prefixes of lines by the name."""
    recorder = folder / "shell" / (Path(shell.partition(" ")[0]).name or "sh")
    recorder.parent.mkdir(exist_ok=True)
    recorder.write_text(
        _RECORDER.format(target=_TARGET, env=_ENV, shell=shell, folder=shlex.quote(str(folder))),
        encoding="utf-8",
        errors="surrogateescape",
    )
    recorder.chmod(0o700)
    if not os.access(recorder, os.X_OK):
        raise ImportFault(str(folder.parent), "programs in it cannot be run: set TMPDIR to another folder")
    return recorder


def _evals(texts: Iterable[str]) -> list[str]:
    return [f"--eval={text}" for text in texts]


def _run(file: Path, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    try:
        ran = subprocess.run(
            ["make", "-f", file.name, "--no-print-directory", "-p", *arguments],
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
    if ran.returncode:
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines() or [f"make ended with {ran.returncode}"]
        raise ImportFault(str(file), said[-1].removeprefix("make: "))
    if _DATA_BASE not in told:
        raise ImportFault(str(file), "`make` is no GNU make here: install that")
    return told


def _variables(data: str) -> dict[str, str]:
    found = re.finditer(r"^([^\s#:=]+) :?= ?(.*)$", data.partition("\n# Files\n")[0], re.MULTILINE)
    return {each[1]: each[2] for each in found}


def _recipes(file: Path, shells: tuple[str, str]) -> dict[str, list[Line]]:
    """`shells`: the recorder and what it stands for."""
    recipes: dict[str, list[Line]] = {}
    if not file.exists():
        return recipes
    words = file.read_bytes().decode("utf-8", "surrogateescape").replace(*shells).split("\0")
    for target, text in zip(words[:-1:2], words[1::2], strict=True):
        recipes.setdefault(target, []).append(Line(_RUNS_MAKE.sub("make", text), bool(_RUNS_MAKE.search(text))))
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
        if not lines or lines[0] == "# Not a target:":
            continue
        # Variables of one target stand before it.
        head = next((found for line in lines if (found := _RULE.fullmatch(line))), None)
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
