"""What a node program is asked, in its own terms."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.hosts import HostSpec, RaySpec
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Launch
from parexec_tui.engine.backends.remote.requests import start_request
from parexec_tui.engine.pool import Pool
from tests.core.hosts import start
from tests.core.sessions import Session, plan


@pytest.mark.parametrize(
    ("uses", "place"),
    [
        ({}, {}),
        ({"cpu": 2.0, "gpu": 1.0}, {"cpu": 2.0, "gpu": 1.0}),
        ({"memory": 1e9, "licence": 1.0}, {"memory": 1e9, "resources": {"licence": 1.0}}),
    ],
)
def test_a_cluster_is_told_what_an_attempt_needs(uses: dict[str, float], place: dict[str, object]) -> None:
    asked = start_request(ProcessKey("T", 1), Launch("true", (), "/", {}, place=uses), {}, "c", 60.0)
    assert asked["place"] == place
    assert "place" not in start_request(ProcessKey("T", 1), Launch("true", (), "/", {}), {}, "c", 60.0)


@pytest.mark.parametrize(("ray", "place"), [(RaySpec(address="head:6379"), {"cpu": 2.0}), (None, None)])
def test_only_a_cluster_has_machines_to_choose_from(ray: RaySpec | None, place: dict[str, float] | None) -> None:
    host = HostSpec(ray=ray, ssh=None if ray else "box")
    session = Session(
        plan("A: uses=cpu:2", agents={"far": AgentType(on=("far",))}, hosts={"far": host}), checks=False
    )
    session.tell(rq.HostSeen("far", cpus=8.0, memory=2**33, boot="b"))
    start(session, "A", "far", "far")
    assert Pool(session.state, "s").launch(session.state.tickets["A"]).place == place
