"""Asks just what is in a justfile: `just --dump --dump-format json`, with imports resolved and names checked."""

import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any, Final

import msgspec

from parexec_tui.importing.draft import ImportFault

_SECONDS: Final = 60


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a recipe."""

    name: str
    kind: str
    """`singular`, `plus` or `star`"""
    default: Any = None
    export: bool = False


class Dependency(msgspec.Struct, frozen=True):
    """A recipe that another one names, and what it gives it."""

    recipe: str
    arguments: list[Any]


class Recipe(msgspec.Struct, frozen=True):
    """A recipe, as just knows it on this system."""

    name: str
    body: list[list[Any]]
    """Of each line its texts and, in lists, its expressions."""
    dependencies: list[Dependency]
    parameters: list[Parameter]
    priors: int
    """How many of the dependencies run before it; the others run after it."""
    quiet: bool
    private: bool
    shebang: bool
    doc: str | None = None
    attributes: list[str | dict[str, Any]] = []

    def attribute(self, name: str) -> Any:
        """The value of an attribute; True if it has none, None if it is not there."""
        for each in self.attributes:
            if each == name:
                return True
            if isinstance(each, dict) and name in each:
                return True if each[name] is None else each[name]
        return None


class Assignment(msgspec.Struct, frozen=True):
    """A variable of the file."""

    value: Any
    export: bool = False


class JustData(msgspec.Struct, frozen=True):
    """What just told."""

    assignments: dict[str, Assignment]
    recipes: dict[str, Recipe]
    aliases: dict[str, dict[str, Any]]
    settings: dict[str, Any]
    first: str | None = None
    modules: dict[str, Any] = {}


def ask_just(file: Path) -> JustData:
    """What just knows of a justfile. Raises ImportFault."""
    program = shutil.which("just") or shutil.which("just", path=sysconfig.get_path("scripts"))
    if program is None:
        raise ImportFault(str(file), "just reads it, and there is no just here: install it (pip install rust-just)")
    try:
        ran = subprocess.run(
            [program, "--justfile", file.name, "--unstable", "--dump", "--dump-format", "json"],
            cwd=file.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ImportFault(str(file), f"just took longer than {_SECONDS} s to tell what is in it") from None
    if ran.returncode:
        raise _fault(file, ran.stderr.decode("utf-8", "replace"))
    try:
        return msgspec.json.decode(ran.stdout, type=JustData)
    except msgspec.DecodeError as error:
        raise ImportFault(str(file), f"this just tells of it in another way, take a newer one ({error})") from None


def _fault(file: Path, said: str) -> ImportFault:
    lines = said.splitlines() or ["just failed"]
    place = next((line.partition("——▶ ")[2] for line in lines if "——▶ " in line), "")
    line = place.split(":")[1] if place.count(":") > 1 else ""
    return ImportFault(f"{file}:{line}" if line else str(file), lines[0].removeprefix("error: "))
