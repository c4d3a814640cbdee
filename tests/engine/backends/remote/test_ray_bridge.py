"""What the bridge to a Ray cluster does by itself; with a cluster, see test_ray.py."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from parexec_tui.core.plan.hosts import RaySpec
from parexec_tui.engine.backends.remote import ray_bridge
from parexec_tui.engine.backends.remote.ray import bridge_program, ray_command, why_not
from parexec_tui.engine.backends.remote.ray_bridge import Frames, Places, Seat, encode, options_of
from parexec_tui.engine.backends.remote.shipping import node_program

_MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.44.0
    Python: 3.10.12
This process on node 10.0.0.1 was started with:
    Ray: 2.49.1
    Python: 3.11.7
"""

_KEY = ("T1", 1, "run")


def test_it_is_a_program_of_an_old_python_with_the_node_program_in_it() -> None:
    text = bridge_program().text
    tree = ast.parse(text, feature_version=(3, 8))
    (node,) = [
        ast.literal_eval(each.value)
        for each in tree.body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "NODE"
    ]
    assert node == node_program().text


def test_both_versions_are_said_if_they_differ() -> None:
    said = ray_bridge.why_not(_MISMATCH)
    assert "the cluster has Ray 2.44.0 on Python 3.10.12" in said
    assert "has Ray 2.49.1 on Python 3.11.7: they must be the same" in said
    assert "token_file" in ray_bridge.why_not("Unauthenticated: no auth token")


def _said(spec: RaySpec, folder: Path) -> tuple[str, bool]:
    ran = subprocess.run(
        ray_command(spec, str(folder / "spool")),
        input=bridge_program().text,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return tuple(why_not(ran.returncode, ran.stderr.decode(), spec))  # type: ignore[return-value]


def test_a_cluster_that_cannot_be_used_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said, is_of_host = _said(RaySpec(address="127.0.0.1:1"), tmp_path)
    assert said.startswith("the control plane of Ray at 127.0.0.1:1 does not answer")
    assert not is_of_host
    token = tmp_path / "token"
    token.write_text("x")
    token.chmod(0o644)
    said, is_of_host = _said(RaySpec(address="127.0.0.1:1", token_file=str(token)), tmp_path)
    assert said == f"others can read the token of the cluster: chmod 600 {token}"
    assert is_of_host


def test_it_goes_there_by_ssh_with_what_ray_needs_for_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    monkeypatch.setenv("RAY_TLS_CA_CERT", "/etc/ray/ca of us.crt")
    command = ray_command(RaySpec(address="head:6379", via="me@head", python="/opt/ray/bin/python"), "s1")
    assert command[0] == "ssh"
    assert command[-2] == "me@head"
    assert command[-1].startswith("exec env RAY_USE_TLS=1 'RAY_TLS_CA_CERT=/etc/ray/ca of us.crt' /bin/sh -c ")
    assert "/opt/ray/bin/python" in command[-1]


def test_where_keys_are_is_known_after_a_restart(tmp_path: Path) -> None:
    folder = str(tmp_path / "s1.ray")
    places = Places(folder)
    places.open()
    seat = places.add_seat("a1", {"cpu": 2})
    seat.ip, seat.spool = "10.0.0.5", "/spool/s1/1"
    places.note_seat(seat)
    for number in (1, 2):
        places.add_key(("T1", number, "run"), seat, 60.0, 5.0)
    places.forget([_KEY])
    with (tmp_path / "s1.ray" / "places.jsonl").open("ab") as file:
        file.write(b'{"key": ["T1", 3')  # the bridge was killed here
    places.close()
    again = Places(folder)
    again.open()
    assert list(again.keys) == [("T1", 2, "run")]
    found = again.keys["T1", 2, "run"]
    assert (found.agent, found.ip, found.spool, found.needs) == ("a1", "10.0.0.5", "/spool/s1/1", {"cpu": 2})
    assert found.open == {("T1", 2, "run"): (60.0, 5.0)}
    assert again.add_seat("a2", {}).number == 2
    again.add_key(("T1", 4, "run"), found, None, 5.0)
    again.close()
    last = Places(folder)
    last.open()
    assert list(last.keys) == [("T1", 2, "run"), ("T1", 4, "run")]
    last.close()


def test_there_is_one_bridge(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from parexec_tui.engine.backends.remote.ray_bridge import Places\n"
        "places = Places(sys.argv[1]); places.open(); print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "s")], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"up\n"
        second = Places(str(tmp_path / "s"))
        second.open()
        second.close()
    assert first.returncode == -9


def test_what_the_engine_heard_is_never_later_by_the_clock_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(ray_bridge, "clock", lambda: now)
    seat = Seat(1, "a1")
    assert seat.proof(990.0) is None, "nothing is known of its clock"
    # Its clock is 500 behind; one word took 0.2 s to get here, another one 3 s.
    seat.heard(499.8)
    seat.heard(497.0)
    now = 1010.0
    assert seat.proof(1005.0) == pytest.approx(504.8)
    seat.open[_KEY] = 60.0, 5.0
    assert seat.over_at(_KEY) == 1005.0 + 60.0 + 15.0 + 5.0
    seat.proof(1001.0)
    assert seat.since == 1005.0, "an old word proves nothing new"
    seat.open[_KEY] = None, 5.0
    assert seat.over_at(_KEY) is None


def test_frames_come_in_any_pieces() -> None:
    data = b"Welcome!\n" + ray_bridge.MARKER + encode({"a": 1}, b"xy") + encode({"b": 2})
    for size in (1, 7, len(data)):
        frames = Frames(has_marker=True)
        found = [frame for start in range(0, len(data), size) for frame in frames.feed(data[start : start + size])]
        assert found == [({"a": 1}, b"xy"), ({"b": 2}, b"")]


def test_what_ray_does_not_know_is_left_to_the_engine() -> None:
    needs = {"cpu": 2, "gpu": 1, "memory": 1 << 30, "resources": {"licence": 1, "port": 3}}
    assert options_of(needs, {"CPU": 8.0, "licence": 2.0}) == {
        "num_cpus": 2,
        "num_gpus": 1,
        "memory": 1 << 30,
        "resources": {"licence": 1},
    }
    assert options_of({}, {}) == {"num_cpus": 1, "num_gpus": 0}
