"""A Ray cluster for tests: a control plane and two nodes, each on a host of a network of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts.networks import Host, Network, network

RAY_PYTHON = os.environ.get("RAY_PYTHON", "")
"""A Python that has Ray."""

_ENVIRONMENT = (
    *("env", "RAY_USAGE_STATS_ENABLED=0"),
    # Nodes that are cut off are taken to be dead later than usual, drivers without a control plane end earlier.
    *("RAY_health_check_failure_threshold=8", "RAY_gcs_rpc_server_reconnect_timeout_s=15"),
)


class Cluster:
    """`head` runs the control plane and no tickets, `nodes` have four cpus each; the last one is labelled."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.head, *self.nodes = network.add("head", "n1", "n2")
        self.address = f"{self.head.address}:6379"
        self.start_head()
        started = [subprocess.Popen(self._joins(node), **_QUIET) for node in self.nodes]  # type: ignore[call-overload]
        assert [each.wait(120) for each in started] == [0, 0]

    def start_head(self) -> None:
        self._ray(
            self.head,
            "start",
            "--head",
            "--port=6379",
            "--include-dashboard=false",
            "--num-cpus=0",
            *self._usual(self.head),
        )

    def join(self, node: Host) -> None:
        """Have a node be in the cluster, with a new id."""
        ran = subprocess.run(self._joins(node), capture_output=True, text=True, check=False, timeout=120)
        assert not ran.returncode, ran.stdout + ran.stderr

    def leave(self, host: Host) -> None:
        """End all of Ray on a host, in no good way."""
        names = "raylet|gcs_server|ray::|ray/dashboard|ray/_private|ray/autoscaler|node_manager"
        subprocess.run(host.command("pkill", "-KILL", "-f", names), check=True)

    def _joins(self, node: Host) -> list[str]:
        labels = ["--labels=disk=fast", '--resources={"licence": 1}'] if node is self.nodes[-1] else []
        words = ["start", f"--address={self.address}", "--num-cpus=4", *labels, *self._usual(node)]
        return node.command(*_ENVIRONMENT, str(Path(RAY_PYTHON).with_name("ray")), *words)

    def _usual(self, host: Host) -> list[str]:
        # The paths of its sockets may not be long.
        return [
            f"--node-ip-address={host.address}",
            f"--temp-dir=/tmp/{self.network.link}-{host.name}",
            "--object-store-memory=80000000",
        ]

    def _ray(self, host: Host, *words: str) -> None:
        host.run(*_ENVIRONMENT, str(Path(RAY_PYTHON).with_name("ray")), *words)

    def close(self) -> None:
        for host in (self.head, *self.nodes):
            shutil.rmtree(f"/tmp/{self.network.link}-{host.name}", ignore_errors=True)


_QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster of three hosts. Skips the test where there is no Ray, or no hosts can be made."""
    if not RAY_PYTHON:
        pytest.skip("RAY_PYTHON does not say which Python has Ray")
    with network(folder) as made:
        found = Cluster(made)
        try:
            yield found
        finally:
            made.close()
            found.close()
