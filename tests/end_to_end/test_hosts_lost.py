"""Hosts that are cut off, lose their power or are booted again: each ticket goes on elsewhere, and never runs twice.

`pytest -m slow tests/end_to_end/test_hosts_lost.py` waits until a lost host is noticed, and then for leases.
"""

from pathlib import Path
from typing import NamedTuple

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.engine.engines import happened, session, start, state_of, ticket
from tests.hosts.networks import Network

PLAN = """
[hosts.h1]
ssh = "h1"
[hosts.h2]
ssh = "h2"
max = 2
[hosts.h3]
ssh = "h3"
[hosts.h4]
ssh = "h4"

[agents.first]
on = ["h1"]
[agents.first-or-second]
on = ["h1", "h2"]
[agents.third-or-second]
on = ["h3", "h2"]
[agents.fourth]
on = ["h4"]
[agents.second]
on = ["h2"]
max = 2
"""

TICKET = '''
[tickets.{name}]
agent = "{agent}"
lease = "{lease}"
run = """
set -- $SSH_CONNECTION
until [ -e {until} ]; do echo "$3 $(date +%s.%N)" >> ticks.{name}; sleep 0.1; done
"""
'''


class Tick(NamedTuple):
    """A sign of life of a ticket: where, and when."""

    address: str
    at: float


def ticks(folder: Path, name: str) -> list[Tick]:
    file = folder / f"ticks.{name}"
    lines = file.read_text().splitlines() if file.exists() else []
    return [Tick(words[0], float(words[1])) for words in map(str.split, lines) if len(words) == 2]


def addresses(folder: Path, name: str) -> list[str]:
    """Where it ran, in order."""
    return list(dict.fromkeys(tick.address for tick in ticks(folder, name)))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_each_goes_on_elsewhere_and_none_runs_twice(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", network.path)
    h1, h2, h3, h4 = network.add("h1", "h2", "h3", "h4")
    plan = PLAN + "".join(
        TICKET.format(name=name, agent=agent, lease=lease, until=end)
        for name, agent, lease, end in (
            ("filler", "second", "30m", "free"),
            ("filler-2", "second", "30m", "free"),
            ("cut", "first-or-second", "4s", "stop"),
            ("stays", "first", "30m", "stop"),
            ("dead", "third-or-second", "4s", "stop"),
            ("booted", "fourth", "30m", "stop"),
        )
    )
    engine = start(tmp_path, plan)
    names = ("cut", "stays", "dead", "booted")
    for name in ("filler", "filler-2", *names):
        engine.until(lambda: ticks(tmp_path, name), f"{name} to begin")  # noqa: B023
    assert [addresses(tmp_path, name) for name in names] == [[host.address] for host in (h1, h1, h3, h4)]
    (tmp_path / "free").touch()
    h4.reboot()
    with h1.partition():
        h3.power_off()
        for name in ("cut", "dead"):
            engine.until(lambda: h2.address in addresses(tmp_path, name), f"{name} to go on at h2", 120)  # noqa: B023
    assert [lost.end for lost in happened(ev.AttemptEnded, ticket="booted")] == [End.lost]
    engine.until(lambda: ticket("booted").attempts == 2, "the host that was booted to be used again")
    (tmp_path / "stop").touch()
    assert engine.wait(120) == 0
    for name, host in (("cut", h1), ("dead", h3)):
        there, here = (
            [tick.at for tick in ticks(tmp_path, name) if tick.address == each.address] for each in (host, h2)
        )
        assert max(there) < min(here), f"{name} ran at two places at once"
        lost = happened(ev.AttemptEnded, ticket=name)[0]
        assert lost.end is End.lost
    assert addresses(tmp_path, "stays") == [h1.address]
    assert (ticket("stays").attempts, ticket("booted").attempts) == (1, 2)
    state = state_of(session())
    assert {each.status for each in state.tickets.values()} == {Status.succeeded}
