"""Elements of SVG as text."""

from html import escape
from typing import Final

from parexec_tui.text.words import printable

STYLE: Final = """
svg{--text:#1d2530;--dim:#5d6876;--line:#d4dae2;--soft:#eef1f5;--paper:#fff;--good:#2f8f5b;--bad:#c93a3a;--warn:#b7791f;
--run:#2f6fd0;--wait:#a9b3c0;--path:#7a3ff2;font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
@media(prefers-color-scheme:dark){svg{--text:#e4e8ee;--dim:#98a3b1;--line:#39424e;--soft:#232a33;--paper:#171c23;
--good:#4fb47d;--bad:#e66a6a;--warn:#d9a441;--run:#6aa0f0;--wait:#5b6675;--path:#b18cff}}
"""
"""The colours of a drawing that stands alone; a page has its own, with the same names."""

RULES: Final = """
svg text{fill:var(--text)} svg .dim{fill:var(--dim)} svg .grid{stroke:var(--line);stroke-width:1;fill:none}
svg .good{fill:var(--good)} svg .bad{fill:var(--bad)} svg .warn{fill:var(--warn)} svg .run{fill:var(--run)}
svg .wait{fill:var(--wait)} svg .lane{fill:var(--soft)} svg .on{fill:var(--paper);font-size:11px;pointer-events:none}
svg .onpath{stroke:var(--path);stroke-width:2} svg .link{stroke:var(--path);stroke-width:1.5;fill:none;opacity:.7}
svg .edge{stroke:var(--wait);stroke-width:1.2;fill:none;opacity:.75} svg .edge.hot{stroke:var(--path);opacity:1}
svg .area{fill:var(--run);opacity:.2} svg .curve{stroke:var(--run);stroke-width:1.5;fill:none}
svg .limit{stroke:var(--dim);stroke-width:1;stroke-dasharray:4 3;fill:none} svg .hit{fill:transparent}
svg .node{fill:var(--soft);stroke:var(--line)} svg .node.onpath{stroke:var(--path)}
svg .stripes{stroke:var(--paper);stroke-width:1.5;opacity:.4}
"""
"""What the classes of drawings mean, by the colours of the page."""

STRIPES: Final = (
    '<defs><pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line class="stripes" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>'
)
"""Over what ended badly: colour is not the only sign."""


def element(name: str, *children: str, title: str = "", **attributes: object) -> str:
    """An element. `title`: what is shown over it; `class_` is `class`, and `_` is `-` in names."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    inside = (f"<title>{text(title)}</title>" if title else "") + "".join(children)
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def drawing(width: float, height: float, *children: str, label: str) -> str:
    """A whole drawing. `label`: what it shows, for who cannot see it."""
    box = f"0 0 {_value(width)} {_value(height)}"
    return element(
        "svg", *children, xmlns="http://www.w3.org/2000/svg", viewBox=box, width=width, height=height, role="img",
        aria_label=label,
    )  # fmt: skip


def alone(svg: str) -> str:
    """The drawing as a file of its own, with its colours in it."""
    at = svg.index(">") + 1
    return f"{svg[:at]}<style>{STYLE}{RULES}</style>{svg[at:]}\n"


def text(said: str) -> str:
    """Text as it is, several lines as lines."""
    return escape("\n".join(map(printable, said.split("\n"))), quote=True)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return text(str(value))
