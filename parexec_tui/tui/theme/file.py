"""Reads theme files: text in, a `Palette` or every mistake in it out.

A theme is a TOML file, named after the theme:

    name = "harbour"              # optional: the name of the file, without its .toml
    title = "Harbour at night"    # optional: what the list of themes calls it
    inherits = "parexec-dark"     # optional: what is not said here is as it is there
    dark = true
    background = "#101820"        # or "default": the terminal's own, and its own colours

    [colours]                     # names of this file; they go before ANSI's, and change what is inherited
    sea = "#5fb3d9"               # #rrggbb, one of ANSI's 16 colours, or "default"

    [styles]                      # by meaning: see palette.MEANINGS
    status-running = "bold sea"
    selection = "on #203040"
    alert = "bold background on red"

A style is made of words: attributes (`bold`, `dim`, `italic`, `underline`, `reverse`, `strike`, each also after
`not`), at most one colour, and at most one after `on`. `background` is a colour too; where it is the terminal's own,
black in a dark theme and white in a light one. An empty style changes nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tomli
from msgspec import Struct
from rich.color import Color
from rich.style import Style

from parexec_tui.core.plan.reading.faults import Fault, Hints, listed
from parexec_tui.core.plan.reading.fields import kind
from parexec_tui.core.plan.reading.problems import Problem, located
from parexec_tui.tui.theme.palette import FALLBACKS, MEANINGS, Palette

_PLAIN = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
ANSI_NAMES = ("default", *_PLAIN, *(f"bright_{name}" for name in _PLAIN))
"""The colours that every terminal has, in its own shades."""

_ATTRIBUTES = ("bold", "dim", "italic", "underline", "reverse", "strike")
_GRAMMAR = ("on", "not", *_ATTRIBUTES)

_KEYS: dict[str, type] = {
    "name": str,
    "title": str,
    "inherits": str,
    "dark": bool,
    "background": str,
    "colours": dict,
    "styles": dict,
}
_KINDS = {str: "a string", bool: "true or false", dict: "a table"}

_HEX = re.compile(r"#[0-9a-fA-F]{6}").fullmatch


class ThemeError(Exception):
    """A theme cannot be used; the message says why, where, and what to do.

    `problems`: everything that is wrong in its files; empty if there is no such theme.
    """

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ThemeFile(Struct, frozen=True):
    """A file as it was read, without the keys that are wrong."""

    source: str
    text: str
    document: dict[str, Any]
    faults: list[Fault]
    """What is wrong in the file, as far as it has been checked."""

    @property
    def inherits(self) -> str | None:
        return self.document.get("inherits")

    def problems(self) -> tuple[Problem, ...]:
        return located(self.faults, self.text, self.source, "toml")


def read_theme_file(text: str, source: str, name: str) -> ThemeFile:
    """Read the file of a theme. Raises ThemeError if it is not TOML."""
    text = text.removeprefix("\ufeff")
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        problem = Problem(source, error.lineno, error.colno, "", error.msg)
        raise ThemeError(str(problem), (problem,)) from error
    faults = list(_key_faults(document, name))
    wrong = {fault.path[0] for fault in faults}
    return ThemeFile(source, text, {key: it for key, it in document.items() if key not in wrong}, faults)


def _key_faults(document: Mapping[str, Any], name: str) -> Iterator[Fault]:
    hints = Hints(_KEYS)
    for key, value in document.items():
        if key not in _KEYS:
            yield Fault((key,), "unknown key", hints.of(key))
        elif not isinstance(value, _KEYS[key]):
            yield Fault((key,), f"expected {_KINDS[_KEYS[key]]}, got {kind(value)}")
    if document.get("name", name) != name:
        yield Fault(("name",), f"the file is named {name}.toml", "give both the same name")


def make_palette(name: str, chain: Sequence[ThemeFile]) -> Palette:
    """Make the palette of a file and of the files that it inherits, nearest first.

    Raises ThemeError with everything that is wrong in any of them. If an inherited theme was not found, the styles
    are not checked: its colours may be used in them.
    """
    colours = {ansi: Color.parse(ansi) for ansi in ANSI_NAMES}
    for file in reversed(chain):
        colours |= _read_colours(file)
    dark = next((file.document["dark"] for file in chain if "dark" in file.document), True)
    background = _read_background(chain, colours)
    colours["background"] = _as_colour(background, dark=dark)
    styles: dict[str, Style] = {}
    if chain[-1].inherits is None:
        for file in reversed(chain):
            styles |= _read_styles(file, colours)
        chain[0].faults.extend(_missing(chain))
    if problems := [problem for file in chain for problem in file.problems()]:
        raise ThemeError("\n".join(map(str, problems)), tuple(problems))
    for meaning, fallback in FALLBACKS.items():
        styles.setdefault(meaning, styles[fallback])
    return Palette(
        name=name,
        title=chain[0].document.get("title", name),
        is_dark=dark,
        background=background,
        styles=styles,
    )


def _read_colours(file: ThemeFile) -> dict[str, Color]:
    """The colours that a file names. A wrong one keeps its name: a style that uses it is not wrong."""
    colours: dict[str, Color] = {}
    hints = Hints(ANSI_NAMES)
    for name, value in file.document.get("colours", {}).items():
        path = ("colours", name)
        colours[name] = Color.default()
        if name in (*_GRAMMAR, "background") or name.split() != [name]:
            file.faults.append(Fault(path, "cannot name a colour", "choose one word that is none of the grammar"))
        elif not isinstance(value, str):
            file.faults.append(Fault(path, f"expected a string, got {kind(value)}"))
        elif value in ANSI_NAMES or _HEX(value):
            colours[name] = Color.parse(value)
        else:
            hint = hints.of(value) or "write #rrggbb, or one of the 16 ANSI names"
            file.faults.append(Fault(path, f"unknown colour `{value}`", hint))
    return colours


def _read_background(chain: Sequence[ThemeFile], colours: Mapping[str, Color]) -> Color:
    file = next((file for file in chain if "background" in file.document), None)
    if file is None:
        return Color.default()
    word = file.document["background"]
    color = _colour(word, colours)
    if color is None:
        hint = Hints(colours).of(word) or "write #rrggbb, a name of [colours], or default"
        file.faults.append(Fault(("background",), f"unknown colour `{word}`", hint))
    return color or Color.default()


def _as_colour(background: Color, *, dark: bool) -> Color:
    """The colour that `background` means in a style. `default` cannot be it: in a style that is the text colour."""
    return Color.parse("black" if dark else "white") if background.is_default else background


def _read_styles(file: ThemeFile, colours: Mapping[str, Color]) -> dict[str, Style]:
    styles: dict[str, Style] = {}
    meanings, words = Hints(MEANINGS), Hints((*colours, *_GRAMMAR))
    for meaning, value in file.document.get("styles", {}).items():
        path = ("styles", meaning)
        if meaning not in MEANINGS:
            file.faults.append(Fault(path, "unknown meaning", meanings.of(meaning)))
        elif not isinstance(value, str):
            file.faults.append(Fault(path, f"expected a string, got {kind(value)}"))
        else:
            try:
                styles[meaning] = _parse_style(value, colours, words)
            except _StyleError as bad:
                file.faults.append(Fault(path, str(bad), bad.hint))
    return styles


def _missing(chain: Sequence[ThemeFile]) -> Iterator[Fault]:
    """The keys and styles that neither the file nor an inherited one has, except those in FALLBACKS."""
    hint = 'say it, or inherit it: inherits = "parexec-dark"'
    said = {fault.path for file in chain for fault in file.faults}
    for key in ("dark", "background"):
        if (key,) not in said and not any(key in file.document for file in chain):
            yield Fault((key,), "is missing", hint)
    given = {meaning for file in chain for meaning in file.document.get("styles", {})}
    missing = [meaning for meaning in MEANINGS if meaning not in given and meaning not in FALLBACKS]
    if missing and ("styles",) not in said:
        yield Fault(("styles",), f"no style for {listed(missing)}", hint)


class _StyleError(Exception):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def _parse_style(text: str, colours: Mapping[str, Color], hints: Hints) -> Style:
    """Read a style. Raises _StyleError.

    Our own instead of Rich's `Style.parse`, which takes the last of two colours without a word, knows nothing of a
    theme's colours, and does not say what to do.
    """
    foreground: Color | None = None
    background: Color | None = None
    attributes: dict[str, Any] = {}
    words = iter(text.split())
    for word in words:
        if word == "on":
            if background is not None:
                raise _StyleError("a second `on`", "a style has one background")
            background = _known_colour(next(words, ""), "on", colours, hints)
        elif word == "not":
            attributes[_attribute(next(words, ""))] = False
        elif word in _ATTRIBUTES:
            attributes[word] = True
        else:
            if foreground is not None:
                raise _StyleError(f"a second colour, `{word}`", "write `on` before a background")
            foreground = _known_colour(word, "", colours, hints)
    return Style(color=foreground, bgcolor=background, **attributes)


def _attribute(word: str) -> str:
    if word not in _ATTRIBUTES:
        raise _StyleError("`not` without an attribute after it", f"one of {listed(_ATTRIBUTES)}")
    return word


def _known_colour(word: str, after: str, colours: Mapping[str, Color], hints: Hints) -> Color:
    if not word or (after and word in _GRAMMAR):
        raise _StyleError(f"`{after}` without a colour after it")
    if (color := _colour(word, colours)) is None:
        raise _StyleError(f"unknown colour or attribute `{word}`", hints.of(word))
    return color


def _colour(word: str, colours: Mapping[str, Color]) -> Color | None:
    return Color.parse(word) if _HEX(word) else colours.get(word)
