"""Short commands that are run on a host to find something out, before a process is started there."""

from collections.abc import Mapping
from typing import Any

import trio

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.remote.channel import Channel, OutOfReach
from parexec_tui.engine.backends.remote.log_copy import PIECE
from parexec_tui.engine.backends.remote.requests import key_to

_WITHIN = 20.0
"""Seconds that a command has."""

_POLLS = 0.02, 0.5
"""Seconds between two looks whether it is over: the first, the longest."""


_STEP = "-look"


def is_errand(key: ProcessKey) -> bool:
    """Whether such a command runs under this name."""
    return key.step.endswith(_STEP)


async def printed_there(
    channel: Channel, key: ProcessKey, script: str, cwd: str, env: Mapping[str, str], cookie: str
) -> bytes:
    """What a script for `/bin/sh` prints on a host, at most 64 KiB of it; it waits until the host is in reach.

    `key`: that of the process that it is run for. Raises OSError.
    """
    there = ProcessKey(key.ticket, key.attempt, f"{key.step}{_STEP}")
    asked = {"key": key_to(there), "shell": script, "cwd": cwd, "env": dict(env), "cookie": cookie}
    while True:
        await channel.until_up()
        try:
            return await _printed(channel, there, asked)
        except OutOfReach:
            continue


async def _printed(channel: Channel, key: ProcessKey, asked: Mapping[str, Any]) -> bytes:
    await channel.ask("start", **asked, lease=_WITHIN, grace=0.5)
    pause, longest = _POLLS
    with trio.move_on_after(_WITHIN):
        while (await channel.ask("adopt", key=key_to(key))).ok.get("state") == "running":
            await trio.sleep(pause)
            pause = min(2 * pause, longest)
    await channel.ask("stop", key=key_to(key), grace=0.0, why="")
    printed = (await channel.ask("read", key=key_to(key), name="log", offset=0, limit=PIECE)).blob
    channel.tell("forget", keys=[key_to(key)])
    return printed
