"""The engine process of a session, which the guardian starts. People use `parexec run` instead."""

import os
import signal
import sys
from contextlib import suppress

from parexec_tui.engine.lifecycle.guardian import NOT_NOW
from parexec_tui.engine.passing import is_passing


def main() -> int:
    try:
        from parexec_tui.engine.standalone import main as run
    except (ImportError, OSError, MemoryError) as error:
        if not is_passing(error):
            raise
        _say_why(f"the engine cannot be loaded: {error}")
        return NOT_NOW
    return run()


def _say_why(text: str) -> None:
    print(text, file=sys.stderr)
    if "--why-fd" in sys.argv:
        with suppress(OSError):
            os.write(int(sys.argv[sys.argv.index("--why-fd") + 1]), text.encode()[:400])


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.exit(main())
