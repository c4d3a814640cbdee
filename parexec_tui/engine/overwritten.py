"""What others changed since in the files that a rollback restores, where no engine is asked."""

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire.requests import ChangedSince
from parexec_tui.engine.backends.local.snapshots import Snapshots
from parexec_tui.paths import session_folder


def changed_since(session: str, keys: tuple[ProcessKey, ...]) -> ChangedSince:
    """As `Backend.changed_since`, of attempts of a session of this machine."""
    try:
        return Snapshots(session_folder(session)).changed_since(keys)
    except OSError:
        return ChangedSince(is_known=False)
