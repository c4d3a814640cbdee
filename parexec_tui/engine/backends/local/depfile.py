"""Reads depfiles: rules of make in which a compiler says what files it read."""

import re

_RULE = re.compile(r"(?:\\\r?\n|\\.|\$\$|[^\\\n])+", re.DOTALL)
_WORD = re.compile(r"(?:\\[ #:\\\t]|\$\$|\\(?![\s\\])|[^\s\\])+")
_ESCAPED = re.compile(r"\\([ #\t])|(\$)\$")
_COLON = re.compile(r"(?<!\\):(?=\s|\Z)")


def files_in(text: str) -> list[str]:
    """The files that what was built depends on, each once. Raises ValueError if it is no depfile.

    What stands before a colon was built; rules without files behind it, as `-MP` writes them, say nothing.
    """
    files: dict[str, None] = {}
    plain = text.replace("\\\n", " ")
    if "\\" not in plain and "$" not in plain and "#" not in plain:  # nearly all are like that, and long
        for line in plain.splitlines():
            _, found, behind = f"{line} ".partition(": ")
            if line.strip() and not found:
                raise ValueError(f"not a rule of make: {line.strip()[:40]!r}")
            files.update(dict.fromkeys(behind.split()))
        return list(files)
    for rule in _RULE.findall(text):
        line = re.sub(r"\\\r?\n", " ", rule)
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        colon = _COLON.search(line)
        if colon is None:
            raise ValueError(f"not a rule of make: {line.strip()[:40]!r}")
        for word in _WORD.findall(line, colon.end()):
            files[_ESCAPED.sub(r"\1\2", word)] = None
    return list(files)
