"""What a coding agent is said to do, by the facts that it tells."""

from parexec_tui.agents.facts import fact
from parexec_tui.core.wire.protocol import Doing
from parexec_tui.engine.agent_facts import doing_with


def test_who_has_said_its_last_word_ends() -> None:
    doing = Doing()
    for at, one in enumerate((fact("tool", does="run", arg="ls"), fact("usage", cost=0.5), fact("last_word"))):
        doing = doing_with(doing, {**one, "at": float(at)})
    assert (doing.what, doing.since, doing.cost) == ("ends", 2.0, 0.5)
