"""Themes: which there are, how one is loaded, and which is used by default.

Panels draw with `palette[meaning]` and never name a colour. The format of the files is in `theme.file`.
"""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from parexec_tui.core.plan.reading.faults import Fault, Hints, listed
from parexec_tui.settings import settings_file
from parexec_tui.trust import UntrustedError, check_file
from parexec_tui.tui.theme.file import ThemeError, ThemeFile, make_palette, read_theme_file
from parexec_tui.tui.theme.palette import MEANINGS, Palette

__all__ = ["DEFAULT", "MEANINGS", "Palette", "ThemeError", "available", "choose", "fallback", "load", "user_folder"]

DEFAULT = "parexec-dark"


def user_folder() -> Path:
    """The folder for a person's own themes."""
    return settings_file().parent / "themes"


def available() -> dict[str, Path]:
    """Theme files by name: ours, then the person's own. A person's theme replaces ours of the same name.

    The files are not read: a broken one is listed too, and `load` says what is wrong with it.
    """
    return {**_themes_in(_packaged_folder()), **_themes_in(user_folder())}


def load(name: str) -> Palette:
    """Load a theme. Raises ThemeError with everything that is wrong in its file and in those that it inherits."""
    if name not in (names := available()):
        hint = Hints(names).of(name) or f"there are {listed(names, limit=20)}"
        raise ThemeError(f"there is no theme `{name}` ({hint})")
    return make_palette(name, _chain(name, user_folder(), _packaged_folder()))


def fallback(environ: Mapping[str, str]) -> Palette:
    """The theme to use when `load` has failed: one that suits the terminal, from our own files alone."""
    name = choose(None, environ)
    return make_palette(name, _chain(name, _packaged_folder()))


def choose(setting: str | None, environ: Mapping[str, str]) -> str:
    """The name of the theme to load: the one in the settings, else one that suits the terminal.

    Rich decides how many colours the terminal has, since Rich writes them.
    """
    if setting:
        return setting
    if environ.get("NO_COLOR"):
        return "mono"
    console = Console(force_terminal=True, _environ=environ)
    return {None: "mono", "standard": "ansi-16"}.get(console.color_system, DEFAULT)


def _chain(name: str, *folders: Path) -> list[ThemeFile]:
    """The file of a theme and those that it inherits, nearest first.

    A name means the first file of that name that is not in the chain yet. So a person's theme can inherit ours of the
    same name and change a few things.
    """
    chain: list[ThemeFile] = []
    wanted: str | None = name
    while wanted is not None:
        paths = [path for folder in folders if (path := _themes_in(folder).get(wanted))]
        unread = [path for path in paths if str(path) not in [file.source for file in chain]]
        if not unread:
            chain[-1].faults.append(_cannot_inherit(wanted, is_cycle=bool(paths)))
            break
        chain.append(read_theme_file(_text(unread[0]), str(unread[0]), wanted))
        wanted = chain[-1].inherits
    return chain


def _cannot_inherit(name: str, *, is_cycle: bool) -> Fault:
    if is_cycle:
        return Fault(("inherits",), f"`{name}` inherits this theme itself", "inherit one that does not")
    return Fault(("inherits",), f"there is no theme `{name}`", Hints(available()).of(name))


def _text(path: Path) -> str:
    """The text of a theme file. Raises ThemeError if it cannot be read."""
    try:
        if path.parent == user_folder():
            check_file(path)
        return path.read_text(encoding="utf-8")
    except UntrustedError as error:
        raise ThemeError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ThemeError(f"{path}: {error}") from error


def _themes_in(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _packaged_folder() -> Path:
    """The folder of our themes: in the package, or in a checkout beside it."""
    package = Path(__file__).parents[2]
    inside = package / "themes"
    return inside if inside.is_dir() else package.parent / "themes"
