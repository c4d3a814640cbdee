from parexec_tui.api.errors import ParexecError as ParexecError
from parexec_tui.api.errors import PlanError as PlanError
from parexec_tui.api.errors import RefusedError as RefusedError
from parexec_tui.api.errors import SessionError as SessionError
from parexec_tui.api.events import Event as Event
from parexec_tui.api.plan import Plan as Plan
from parexec_tui.api.result import Result as Result
from parexec_tui.api.session import Session as Session
from parexec_tui.api.verbs import Answer as Answer

__version__: str
__all__: list[str]
