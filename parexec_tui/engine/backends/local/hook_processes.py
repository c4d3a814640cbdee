"""What hooks start: told from what attempts start, and ended when its hook is over."""

import os
from collections.abc import Collection, Mapping, Sequence
from itertools import count

from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.local import process
from parexec_tui.engine.backends.local.cookie import COOKIE, cookie_prefix, nested_cookie
from parexec_tui.engine.backends.local.gone import grace_for_strays, until_nothing_is_left
from parexec_tui.engine.backends.local.mark import mark_of, marking
from parexec_tui.engine.backends.local.orphans import Orphans, with_descendants
from parexec_tui.paths import SessionFolder

_SHELL = "/bin/sh"


class HookProcesses:
    """See `serve.hooks.Processes`."""

    def __init__(self, orphans: Orphans, session: str, folder: SessionFolder) -> None:
        self._orphans = orphans
        # Not the prefix of the attempts: a look for what is left of these must not find hooks.
        self._prefix = f"{cookie_prefix(session, folder.attempts)}#hooks"
        self._numbers = count(1)

    def prepare(self, command: str, env: Mapping[str, str]) -> tuple[Sequence[str], Mapping[str, str]]:
        cookie = f"{self._prefix}/{os.getpid()}.{next(self._numbers)}"
        signed = {**env, COOKIE: nested_cookie(env.get(COOKIE), cookie)}
        return (_SHELL, "-c", marking(_SHELL, mark_of(cookie)) + command), signed

    def began(self, shell: int, env: Mapping[str, str]) -> None:
        self._orphans.watch_over(shell, mark_of(env[COOKIE].rpartition(":")[2]))

    async def end(self, shell: int) -> Sequence[str]:
        left = await until_nothing_is_left(lambda: self._left_by(shell), grace_for_strays())
        self._orphans.forget(shell)
        return list(left.values())

    async def _left_by(self, shell: int) -> Collection[Identity]:
        self._orphans.look()
        return process.identities(with_descendants(self._orphans.left_by(shell)))
