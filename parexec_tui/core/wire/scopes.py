"""What the words of hold, release, freeze, thaw, drain and restart mean: tickets, agents, types, services, hosts.

T3               the ticket, agent, agent type or service of this name; refused if there are several
ticket:T3        the ticket
agent:mill-*     agents
type:mill        agent types
service:db       services
host:gpu-box     hosts
status:ready     and all else that selects tickets; see `selectors`
"""

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate

from parexec_tui.core.plan.hosts import LOCAL_NAME
from parexec_tui.core.plan.model import ID_PATTERN
from parexec_tui.core.plan.reading.faults import did_you_mean, listed
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import Names
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.core.wire.selectors import SelectorError, select

is_plain = re.compile(ID_PATTERN).fullmatch
"""Whether a word can be the name of something."""


def scope(state: SessionState, words: Sequence[str]) -> Names | Refusal:
    """What these words mean together; or a refusal, if one of them means nothing or several things."""
    known = _known(state)
    found: dict[str, dict[str, None]] = {kind: {} for kind in known}
    selectors = []
    try:
        for word in words:
            kind, colon, value = word.partition(":")
            if colon and kind in known:
                found[kind] |= dict.fromkeys(_matching(kind, value, known[kind]))
            elif is_plain(word):
                found[_kind_of(word, known)][word] = None
            else:
                selectors.append(word)
        found["ticket"] |= dict.fromkeys(select(state, selectors))
    except SelectorError as error:
        return Refusal(str(error))
    return Names(*(tuple(found[kind]) for kind in ("ticket", "agent", "type", "service", "host")))


def _known(state: SessionState) -> dict[str, Iterable[str]]:
    return {
        "ticket": state.tickets,
        "agent": [agent.id for agent in state.agents.values() if not agent.stopped],
        "type": state.available,
        "service": state.services,
        "host": state.hosts,
    }


def _kind_of(word: str, known: dict[str, Iterable[str]]) -> str:
    kinds = [kind for kind, names in known.items() if word in names]
    if len(kinds) == 1:
        return kinds[0]
    if not kinds:
        hint = did_you_mean(word, (name for names in known.values() for name in names))
        more = [kind for kind in ("service", "host") if known[kind]]
        *others, last = ("ticket", "agent", "agent type", *more)
        kind = f"{', '.join(others)} or {last}"
        raise SelectorError(f"there is no {kind} {word}{f', {hint}' if hint else ''}")
    said = [f"{kind}:{word}" for kind in kinds]
    raise SelectorError(f"{word} is a name of several things: say {' or '.join(said)}")


def _matching(kind: str, value: str, names: Iterable[str]) -> list[str]:
    fits = re.compile(translate(value)).match
    found = [name for name in names if fits(name)]
    if not found and kind == "host" and value == LOCAL_NAME:
        raise SelectorError("host:local is this machine, which is no host of the plan: name agent types, or nothing")
    if not found:
        there_is = listed(names) if value else "nothing after it"
        raise SelectorError(f"there is no {'agent type' if kind == 'type' else kind} {value}, there is {there_is}")
    return found
