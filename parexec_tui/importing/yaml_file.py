"""A YAML 1.2 file as tables and lists that know their lines."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from parexec_tui.importing.draft import ImportFault


class YamlFile:
    """A file whose top is a table."""

    def __init__(self, file: Path) -> None:
        """Raises ImportFault."""
        self.name = file.name
        try:
            top = YAML(typ="rt").load(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ImportFault(str(file), error.strerror or str(error)) from None
        except UnicodeDecodeError:
            raise ImportFault(str(file), "it is no text in UTF-8") from None
        except MarkedYAMLError as error:
            line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
            raise ImportFault(f"{file}{line}", f"it is no YAML: {error.problem or error.context}") from None
        except YAMLError as error:
            raise ImportFault(str(file), f"it is no YAML: {error}") from None
        if not isinstance(top, CommentedMap):
            raise ImportFault(str(file), "it is no table of YAML: `key: value` is wanted at its top")
        self.top: dict[str, Any] = top

    def where(self, at: object, key: object = None) -> str:
        """`ci.yml:12`: the line of a table or a list, or of a key or an item of it."""
        line = 0
        if isinstance(at, CommentedMap | CommentedSeq):
            line = at.lc.line
            if key in (at.lc.data or {}):
                line = at.lc.data[key][0]
        return f"{self.name}:{line + 1}"


def scalar(value: object) -> str | int | float | bool:
    """A scalar as a plan has it: what YAML reads as nothing is an empty text, `3.0` is 3."""
    match value:
        case None:
            return ""
        case bool():
            return bool(value)
        case int():
            return int(value)
        case float():
            return int(value) if value == int(value) else float(value)
        case _:
            return str(value)


def as_text(value: object) -> str:
    """A scalar as it stands in a text."""
    plain = scalar(value)
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def as_list(value: object) -> list[Any]:
    """What may be one thing or a list of things."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def as_table(value: object) -> dict[str, Any]:
    """A table; an empty one where there is none."""
    return value if isinstance(value, dict) else {}
