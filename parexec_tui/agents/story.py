"""The log of an attempt: facts as a story that a person reads, line by line, as it happens."""

from parexec_tui.agents import ends
from parexec_tui.agents.facts import Fact, choices_of, number_of, text_of, whole_of

OUTPUT_LINES = 6
"""Lines of a tool's output that stand in the story; the raw stream has all of it."""

LONGEST = 2_000
"""Characters of a line."""

_VERBS = {
    "read": "reads",
    "write": "writes",
    "search": "searches",
    "fetch": "fetches",
    "delegate": "delegates",
}


class Story:
    """Turns facts into lines. It remembers what was told last, so that the same is not told twice."""

    def __init__(self, *, kind: str, attempt: int, permissions: str, goes_on: str) -> None:
        self._title = f"▸ {kind} attempt {attempt}"
        self._permissions = permissions
        self._goes_on = goes_on
        self._figures = ""
        self._told_figures = ""

    def lines(self, fact: Fact) -> list[str]:
        sub = "  ┊ " if fact.get("sub") is True else ""
        match text_of(fact, "fact"):
            case "session":
                return self._session(fact)
            case "text":
                return [f"{sub}{line}" for line in _lines(text_of(fact, "text"))]
            case "thought":
                return [f"… {line}" for line in _lines(text_of(fact, "text"))]
            case "tool":
                return [f"{sub}{line}" for line in _tool(fact)]
            case "tool_end":
                return _tool_end(fact)
            case "plan":
                now = text_of(fact, "now")
                done, of = whole_of(fact, "done") or 0, whole_of(fact, "of") or 0
                return [f"· plan {done}/{of}{': ' if now else ''}{visible(now)}"]
            case "retry":
                return [_retry(fact)]
            case "denied":
                return [f"! {text_of(fact, 'tool')} was not allowed: {visible(text_of(fact, 'text'))}"]
            case "limit":
                return _limit(fact)
            case "ask":
                return _ask(fact)
            case "ask_done":
                return [f"  answered: {visible(text_of(fact, 'answer'))}"]
            case "note":
                return [visible(line) for line in _lines(text_of(fact, "text"))]
            case "usage":
                self._figures = figures_of(fact)
                return []
            case "end":
                return self._end(fact)
            case _:
                return []

    def _session(self, fact: Fact) -> list[str]:
        id_ = text_of(fact, "id")
        how = f", goes on with {id_}" if self._goes_on and self._goes_on == id_ else f", conversation {id_}"
        model = text_of(fact, "model")
        about = ", ".join(
            filter(None, (model and f"model {model}", self._permissions and f"permissions: {self._permissions}"))
        )
        return [f"{self._title}{how if id_ else ''}", f"  {about}"]

    def _end(self, fact: Fact) -> list[str]:
        figures = figures_of(fact) or self._figures
        end, why = text_of(fact, "end"), visible(text_of(fact, "why"))
        mark = "✓" if end == ends.SUCCEEDED else "■"
        told = [f"  {figures}"] if figures else []
        return [*told, f"{mark} {end}{': ' if why else ''}{why}"]


def figures_of(fact: Fact) -> str:
    """`84k in, 2.1k out, $0.41`; what is not known is left out."""
    parts = []
    inp, out, cached = whole_of(fact, "inp"), whole_of(fact, "out"), whole_of(fact, "cached")
    if inp is not None:
        parts.append(f"{_count(inp + (cached or 0))} in")
    if out is not None:
        parts.append(f"{_count(out)} out")
    cost = number_of(fact, "cost")
    if cost is not None:
        parts.append(("~" if fact.get("computed") is True else "") + money_of(cost))
    return ", ".join(parts)


def money_of(cost: float) -> str:
    return f"${cost:.2f}" if cost >= 0.01 or cost == 0 else f"${cost:.4f}"


def visible(text: str) -> str:
    """A line whose control characters are seen instead of obeyed, cut where it is too long."""
    return _seen(text[:LONGEST]) + (" …" if len(text) > LONGEST else "")


def _seen(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\t" else _picture(char) for char in text)


def _picture(char: str) -> str:
    code = ord(char)
    return chr(0x2400 + code) if code < 32 else "\u2421" if code == 127 else "\ufffd"


def _lines(text: str) -> list[str]:
    return [visible(line) for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def _ask(fact: Fact) -> list[str]:
    """All of a question: somebody allows what it says."""
    first, *more = text_of(fact, "what").replace("\r\n", "\n").split("\n")
    lines = [f"? {_seen(first)}", *(f"  {_seen(line)}" for line in more if line.strip())]
    choices = ", ".join(map(_seen, choices_of(fact)))
    return [*lines[:-1], f"{lines[-1]} ({choices})" if choices else lines[-1]]


def _tool(fact: Fact) -> list[str]:
    does, arg = text_of(fact, "does"), text_of(fact, "arg")
    first, *more = _lines(arg) or [""]
    rest = f" … +{len(more)} line{'s' * (len(more) > 1)}" if more else ""
    if does == "run":
        return [f"$ {first}{rest}"]
    verb = _VERBS.get(does, text_of(fact, "name"))
    return [f"· {verb} {first}{rest}".rstrip()]


def _tool_end(fact: Fact) -> list[str]:
    lines = _lines(text_of(fact, "text"))
    shown = [f"  │ {line}" for line in lines[:OUTPUT_LINES]]
    if len(lines) > OUTPUT_LINES:
        shown.append(f"  │ … +{len(lines) - OUTPUT_LINES} lines")
    if fact.get("ok") is False:
        code = whole_of(fact, "code")
        shown.append("  ✗ failed" if code is None else f"  ✗ failed ({code})")
    return shown


def _retry(fact: Fact) -> str:
    n, of, wait, status = (number_of(fact, name) for name in ("n", "of", "wait", "status"))
    which = "" if n is None else f" {n:.0f}" if of is None else f" {n:.0f} of {of:.0f}"
    when = "" if wait is None else f" in {wait:.0f} s"
    why = f"{status:.0f}" if status is not None else visible(text_of(fact, "why"))
    return f"~ the provider is busy: retry{which}{when}{f' ({why})' if why else ''}"


def _limit(fact: Fact) -> list[str]:
    status, window, used = text_of(fact, "status"), text_of(fact, "window"), number_of(fact, "used")
    if status in ("allowed", ""):
        return []
    much = "" if used is None else f", {used * 100:.0f} % used"
    return [f"~ limit of the account: {status}{f' ({window})' if window else ''}{much}"]


def _count(tokens: int) -> str:
    if tokens < 1_000:
        return str(tokens)
    return (
        f"{tokens / 1_000:.1f}k"
        if tokens < 100_000
        else f"{tokens / 1_000_000:.1f}M"
        if tokens >= 1_000_000
        else f"{tokens // 1_000}k"
    )
