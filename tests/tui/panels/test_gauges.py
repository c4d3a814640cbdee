"""The gauges: what is measured and what is shared out, where it holds work, and what is said if nothing is known."""

import pytest
from msgspec.structs import replace
from rich.style import Style

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import DiskSample, GpuSample, HostSample, Sampled
from parexec_tui.tui.panels.gauges import GaugesPanel
from parexec_tui.tui.view.facts import idle_reason
from parexec_tui.tui.view.measures import busy_gauges, curve, merged
from parexec_tui.tui.view.view_state import Change, ViewState
from tests.core.sessions import Session, plan
from tests.tui.drawn import lines, panel_of, text, view_of

GIB = 2**30


def busy_session() -> Session:
    """Two of three slots, all of the gpus, one of one builder; a ticket waits for each of the latter."""
    session = Session(
        plan(
            """
            A: writes=out/a.txt locks=db agent=builder
            B: reads=docs/** uses=gpu:2,memory:3000000000 agent=local
            C: locks=db agent=builder
            D: uses=gpu:1 agent=local
            """,
            parallel=3,
            resources={"gpu": 2},
            agents={"builder": AgentType(max=1), "local": AgentType()},
            min_free_disk=20 * GIB,
        )
    )
    session.dispatch()
    session.wait(2000)
    return session


def sample(at: float) -> HostSample:
    """A host that gets busier and busier, up to 100 % at 3000."""
    return HostSample(
        at=at,
        cpu=(at - 2400) / 600,
        per_cpu=(0.1, 0.9),
        load=(1.5, 1.25, 1.0),
        memory_used=3 * GIB,
        memory_total=8 * GIB,
        swap_used=GIB // 4,
        swap_total=2 * GIB,
        disks=(
            DiskSample("disk of the workdir", "/w", 35 * GIB, 100 * GIB),
            DiskSample("disk of the state folder", "/s", 19 * GIB, 100 * GIB),
        ),
        disk_read=3_000_000,
        disk_write=0,
        net_in=1234,
        net_out=20_000_000,
        pressure={"cpu": 0.12},
    )


def view(session: Session | None = None) -> ViewState:
    """Samples of ten minutes, the last one two seconds old, and a disk that is short."""
    session = session or busy_session()
    session.apply(ev.HostPressed(at=session.now, resource="disk of the state folder", text="19GiB free"))
    shown = view_of(session)
    for before in range(600, 0, -2):
        shown.samples.take(Sampled(host=sample(session.now - before), attempts=(), engine_cpu=0.0))
    return shown


def panel(width: int, height: int = 20) -> GaugesPanel:
    return panel_of(GaugesPanel, view(), width, height)


DRAWN = {
    40: """
 cpu          100%       ###### ++***%%#
 memory       3G/8G      ##.... ========
 disk workdir 35G free   ###=|. ********
!disk state   19G free   ####=. held %%%
 at once      2 of 3     ####..
 uses memory  2.8G/8G    ##....
 gpu          2 of 2     ###### 1 wait
 disk i/o     r 2.9M/s w 0B/s   ########
 network      i 1.2K/s o 19M/s  ########
 psi cpu      12%        =..... ........
 load         1.50 1.25  ####=. ********
 swap         256M/2G    =..... ........
 builder      1 of 1     ###### 1 wait
 local        1 of 3     ##....
 claims       3 held            1 wait
 cores        max 90%    =..... #####.
""",
    60: """
 cpu          100%       ############## ++++++*****%%%%%%###
 memory       3G/8G      #####......... ====================
 disk workdir 35G free   #########..|.. ********************
!disk state   19G free   ###########|.. held %%%%%%%%%%%%%%%
 at once      2 of 3     #########.....
 uses memory  2.8G/8G    ####=.........
 gpu          2 of 2     ############## 1 wait
 disk i/o     r 2.9M/s w 0B/s           ####################
 network      i 1.2K/s o 19M/s          ####################
 psi cpu      12%        #=............ ....................
 load         1.50 1.25  ##########=... ********************
 swap         256M/2G    #=............ ....................
 builder      1 of 1     ############## 1 wait
 local        1 of 3     ####=.........
 claims       3 held                    1 wait
 cores        max 90%    #......... #########.
""",
    78: """
 cpu          100%       ####################= =+++++++++********%%%%%%%%%####
 memory       3G/8G      #######=............. ===============================
 disk workdir 35G free   #############=..|.... *******************************
!disk state   19G free   #################.... held %%%%%%%%%%%%%%%%%%%%%%%%%%
 at once      2 of 3     ##############.......
 uses memory  2.8G/8G    #######..............
 gpu          2 of 2     ##################### 1 wait
 disk i/o     r 2.9M/s w 0B/s                  ###############################
 network      i 1.2K/s o 19M/s                 ###############################
 psi cpu      12%        ##=.................. ...............................
 load         1.50 1.25  ###############=..... *******************************
 swap         256M/2G    ##=.................. ...............................
 builder      1 of 1     ##################### 1 wait
 local        1 of 3     #######..............
 claims       3 held                           1 wait
 cores        max 90%    #......... #########.
""",
    120: """
 cpu          100%       #######################=           ____.........---------========+++++++++********%%%%%%%%%####
 memory       3G/8G      #########...............           ============================================================
 disk workdir 35G free   ###############=...|....           ************************************************************
!disk state   19G free   ###################=.... held      %%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%
 at once      2 of 3     ################........
 uses memory  2.8G/8G    ########................
 gpu          2 of 2     ######################## 1 wait
 disk i/o     r 2.9M/s w 0B/s                               ############################################################
 network      i 1.2K/s o 19M/s                              ############################################################
 psi cpu      12%        ##=.....................           ............................................................
 load         1.50 1.25  ##################......           ************************************************************
 swap         256M/2G    ###.....................           ............................................................
 builder      1 of 1     ######################## 1 wait
 local        1 of 3     ########................
 claims       3 held                              1 wait
 cores        max 90%    #......... #########.
""",  # noqa: E501
}


@pytest.mark.parametrize("width", DRAWN)
def test_the_gauges_at_each_width(width: int) -> None:
    assert text(panel(width)) == DRAWN[width].strip("\n")


def test_what_is_measured_of_a_cgroup_says_so() -> None:
    shown = view()
    limited = replace(sample(shown.now), of_cgroup=("cpu", "memory"))
    shown.samples.take(Sampled(host=limited, attempts=(), engine_cpu=0.0))
    first, second, *_ = lines(panel_of(GaugesPanel, shown, 60, 20))
    assert (first[:23], second[:23]) == (" cgroup cpu   100%     ", " cgroup mem   3G/8G    ")


def test_at_eight_lines_what_matters_most_is_there_and_the_rest_is_scrolled_to() -> None:
    shown = panel(47, 9)
    assert [line[1:13].rstrip() for line in lines(shown)] == [
        "cpu", "memory", "disk workdir", "disk state", "at once", "uses memory", "gpu", "disk i/o",
    ]  # fmt: skip
    assert shown.subtitle() == "1-8 of 16"
    shown.go_last()
    assert (lines(shown)[-1][1:6], shown.subtitle()) == ("cores", "9-16 of 16")
    shown.move(-2)
    assert shown.subtitle() == "7-14 of 16"
    shown.go_first()
    assert lines(shown)[0].startswith(" cpu")


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (9, 3), (17, 12), (300, 40)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    assert len(lines(panel(*size))) == size[1] - 1


def test_the_signs_of_a_terminal_that_can_show_them() -> None:
    shown = view()
    shown.ascii_only = False
    drawn = lines(panel_of(GaugesPanel, shown, 47, 9))
    assert drawn[2] == " disk workdir 35G free   █████▎┊· ▆▆▆▆▆▆▆▆▆▆▆▆▆"
    assert drawn[1] == " memory       3G/8G      ███····· ▄▄▄▄▄▄▄▄▄▄▄▄▄"


# --- Colour means that work is held ---


def styles(shown: GaugesPanel, label: str) -> set[Style | None]:
    """The styles of the bar of a gauge, where something is used."""
    y = next(y for y in range(1, shown.size.height) if shown.render_line(y).text[1:].startswith(label))
    return {segment.style for segment in shown.render_line(y) if segment.text in "#="}


@pytest.mark.parametrize(
    ("label", "meaning"),
    [
        ("cpu", "gauge-low"),
        ("memory", "gauge-low"),
        ("disk workdir", "gauge-low"),
        ("disk state", "gauge-full"),
        ("at once", "gauge-low"),
        ("gpu", "gauge-warn"),
        ("builder", "gauge-warn"),
        ("local", "gauge-low"),
    ],
)
def test_a_gauge_is_calm_unless_work_is_held_because_of_it(label: str, meaning: str) -> None:
    shown = panel(78)
    assert styles(shown, label) == {shown.base + shown.style(meaning)}


def test_full_slots_hold_work_only_if_there_is_some() -> None:
    session = Session("A:\nB: A")
    session.state.parallel = 1
    session.dispatch()
    shown = panel_of(GaugesPanel, view_of(session), 78, 20)
    assert lines(shown)[1] == " at once      1 of 1     #####################"
    more = Session("A:\nB:")
    more.state.parallel = 1
    more.dispatch()
    shown = panel_of(GaugesPanel, view_of(more), 78, 20)
    assert lines(shown)[1] == " at once      1 of 1     ##################### 1 wait"
    more.ask(rq.Hold(tickets=("B",)))
    more.wait(1)
    shown.changed(Change.state)
    assert lines(shown)[1] == " at once      1 of 1     #####################"


def test_a_held_type_holds_its_tickets_though_there_is_room() -> None:
    session = Session(plan("A: agent=one\nB: agent=two", agents={"one": AgentType(), "two": AgentType()}))
    session.ask(rq.Hold(types=("two",)))
    session.dispatch()
    drawn = lines(panel_of(GaugesPanel, view_of(session), 78, 20))
    assert drawn[2:4] == [
        " one          1 of 4     #####................",
        " two          0 of 4     ..................... 1 wait",
    ]


# --- What is not known is said ---


def told(shown: ViewState) -> str:
    return lines(panel_of(GaugesPanel, shown, 78, 20))[0].strip()


def test_before_the_first_sample() -> None:
    shown = view_of(busy_session())
    assert told(shown) == "no samples yet"
    shown.contact, shown.connected = "no engine: parexec resume", False
    assert told(shown) == "nothing is measured: no engine: parexec resume"


def test_a_disk_that_is_short_is_told_without_a_sample_too() -> None:
    shown = view()
    shown.samples.host.clear()
    assert lines(panel_of(GaugesPanel, shown, 78, 20))[1] == "!disk state   short                            held"


def test_samples_that_are_old_are_said_to_be_so() -> None:
    session = busy_session()
    shown = view(session)
    session.wait(8)
    assert told(shown).startswith("cpu")
    session.wait(1)
    assert told(shown) == "stale: measured 11s ago"
    shown.contact, shown.connected = "reconnecting", False
    assert told(shown) == "reconnecting: measured 11s ago"


def test_of_a_finished_session_is_said_how_the_host_was_at_its_end() -> None:
    session = Session("A:")
    session.dispatch()
    shown = view(session)
    shown.contact, shown.connected = "finished", False
    session.wait(1)
    session.succeed("A")
    session.close()
    assert told(shown) == "measured at the end"
    session.wait(100)
    assert told(shown) == "measured at the end", "however long ago that is"
    assert idle_reason(session.state, session.state.agents["agent-1"], session.now) == ""


def test_the_past_shows_the_host_as_it_was_then() -> None:
    session = busy_session()
    shown = view(session)
    past = Session(busy_session().plan)
    past.wait(1700)
    past.dispatch()
    shown.past = past.state
    assert told(shown).startswith("cpu          50%")
    past.wait(-600)
    past.apply(ev.SessionReleased(at=past.now))
    assert told(shown) == "the host was not measured then"
    shown.samples.kept = (replace(sample(past.now - 90), cpu=0.25), replace(sample(past.now - 30), cpu=0.75))
    assert told(shown).startswith("cpu          75%"), "the engine kept it"
    past.wait(-60)
    past.apply(ev.SessionReleased(at=past.now))
    assert told(shown).startswith("cpu          25%")
    shown.samples.kept = (replace(sample(past.now + 0.25), cpu=0.5), replace(sample(past.now + 1), cpu=0.75))
    assert told(shown).startswith("cpu          50%"), "the first one tells of the start"
    shown.samples.kept = (replace(sample(past.now + 5), cpu=0.5),)
    assert told(shown) == "the host was not measured then"


GPUS = (GpuSample(0, "H100", 0.87, 12 * GIB, 80 * GIB), GpuSample(1, "MIG", None, None, None))


def test_each_gpu_has_a_gauge_for_what_it_tells_and_the_past_shows_it_too() -> None:
    session = busy_session()
    shown = view(session)
    assert shown.samples.latest is not None
    shown.samples.take(Sampled(replace(shown.samples.latest, gpus=GPUS), (), 0.0))
    found = [line for line in lines(panel_of(GaugesPanel, shown, 60, 30)) if line.startswith(" gpu ")]
    assert [line[:24].rstrip() for line in found] == [
        " gpu          2 of 2",
        " gpu 0        87%",
        " gpu 0 mem    12G/80G",
    ]
    past = Session(busy_session().plan)
    past.wait(1000)
    past.dispatch()
    shown.past = past.state
    kept = replace(sample(past.now - 30), gpus=(replace(GPUS[0], busy=0.25),))
    shown.samples.kept = (kept,)
    (gauge,) = (each for each in busy_gauges(kept) if each.label == "gpu 0")
    assert (gauge.text, gauge.share, gauge.read and gauge.read(kept)) == ("25%", 0.25, 0.25)
    assert any(line.startswith(" gpu 0        25%") for line in lines(panel_of(GaugesPanel, shown, 60, 30)))


# --- Curves ---


def test_a_curve_is_of_means_and_only_its_newest_cell_changes_within_a_span() -> None:
    samples = [
        replace(sample(at), cpu=cpu) for at, cpu in ((985.0, 0.1), (1000.0, 0.2), (1010.0, 0.4), (1035.0, 0.8))
    ]

    def drawn(until: float) -> list[float | None]:
        return [value and round(value, 3) for value in curve(samples, lambda of: of.cpu, until, 10)]

    assert drawn(1035.0) == [None] * 7 + [0.1, 0.3, 0.8]
    assert drawn(1049.0) == drawn(1035.0)
    assert drawn(1050.0) == [None] * 6 + [0.1, 0.3, 0.8, None]
    assert curve(samples, lambda of: of.pressure.get("io"), 1035.0, 3) == [None] * 3
    assert curve(samples, lambda of: of.cpu, 1035.0, 0) == []


def test_many_values_become_a_few_by_their_highest() -> None:
    assert merged((1, 5, 2, 3, 4), 2) == [5, 4]
    assert merged((1, 5, 2), 3) == [1, 5, 2]
    assert merged((), 3) == merged((1,), 0) == []


def test_many_cores_take_a_cell_each_or_share_one() -> None:
    shown = view()
    shown.samples.take(Sampled(host=replace(sample(3000), per_cpu=(0.0, 1.0) * 16), attempts=(), engine_cpu=0.0))
    drawn = lines(panel_of(GaugesPanel, shown, 78, 20))[-4]
    assert drawn == " cores        max 100%   " + "_#" * 16
    drawn = lines(panel_of(GaugesPanel, shown, 42, 20))[-4]
    assert drawn == " cores        max 100%   " + "#" * 16


@pytest.mark.parametrize(
    ("kind", "waited", "warns"),
    [
        ("cpu", 0.79, False),
        ("cpu", 0.8, True),
        ("memory", 0.09, False),
        ("memory", 0.1, True),
        ("io", 0.39, False),
        ("io", 0.4, True),
    ],
)
def test_pressure_warns_once_it_slows_down_what_runs(kind: str, waited: float, warns: bool) -> None:
    shown = panel(78)
    pressed = replace(sample(3000.0), pressure={kind: waited})
    shown.gauges = list(busy_gauges(pressed))
    shown.top = 0
    assert styles(shown, f"psi {kind}") == {shown.base + shown.style("gauge-warn" if warns else "gauge-low")}


def test_in_a_narrow_panel_it_is_seen_how_many_may_run_at_once_where_that_is_found_out() -> None:
    session = Session(plan("T:"))
    session.act(rq.Scale(most=12))
    session.act(rq.Scale(most=None, auto=True))
    shown = panel_of(GaugesPanel, view(session), 40, 20)
    assert "at once      0/12 auto" in text(shown)
