"""What happened: facts in the past tense. State is a fold of these, and nothing else changes it.

The format is a promise: events are kept in the registry and replayed years later. A field may be added with a
default; a field or a kind is never renamed, retyped or removed. Each class writes out its kind as `tag`, so a class
may be renamed. `at` is seconds since the epoch, stamped by the engine; `by` says who asked, and is empty where the
engine acted on a rule. What an event is made of (the tickets of a plan, the steps of an undo) is bound by the same
promise.
"""

from parexec_tui.core.state.events.accounts import (
    AccountRests,
    AccountTried,
    AccountWell,
    ConversationKnown,
    QuestionWithdrawn,
    TicketAnswered,
    TicketAsks,
)
from parexec_tui.core.state.events.agents import (
    AgentDraining,
    AgentHeld,
    AgentQuarantined,
    AgentReleased,
    AgentStarted,
    AgentStopped,
    AgentTypeHeld,
    AgentTypeReleased,
    BudgetChanged,
    TypeScaled,
)
from parexec_tui.core.state.events.attempts import (
    AttemptEnded,
    AttemptFrozen,
    AttemptSpawned,
    AttemptStarted,
    AttemptStopRequested,
    AttemptThawed,
    CheckFailed,
    CheckHeld,
    LogCut,
    StepEnded,
    StepStarted,
    StraysEnded,
    WroteUnclaimed,
)
from parexec_tui.core.state.events.event import Event as Event
from parexec_tui.core.state.events.hosts import (
    HostDraining,
    HostHeld,
    HostReached,
    HostReleased,
    HostScaled,
    HostUnreachable,
    HostUnusable,
)
from parexec_tui.core.state.events.order import OrderFound
from parexec_tui.core.state.events.pressure import (
    MemoryMeasured,
    PeaksLearned,
    PressureEased,
    PressureRaised,
    StartedAnyway,
)
from parexec_tui.core.state.events.rollback import (
    RollbackAsked,
    RollbackEnded,
    RollbackStarted,
    SnapshotDropped,
    SnapshotTaken,
)
from parexec_tui.core.state.events.services import (
    ServiceEnded,
    ServiceFrozen,
    ServiceReady,
    ServiceRenewed,
    ServiceSpawned,
    ServiceStarted,
    ServiceStopRequested,
    ServiceThawed,
)
from parexec_tui.core.state.events.session import FREEZE_REASON as FREEZE_REASON
from parexec_tui.core.state.events.session import (
    AgentsDeployed,
    CompletionValidated,
    DrainEnded,
    DurationsLearned,
    EngineLeft,
    EtaTold,
    FailurePolicyChanged,
    FailuresHandled,
    HostPressed,
    HostRelieved,
    MonitoringStarted,
    NeighboursSeen,
    OperatorActed,
    ParallelChanged,
    PlanAmended,
    PoolInitialised,
    SecretsLooked,
    SessionDraining,
    SessionFinished,
    SessionHeld,
    SessionInterrupted,
    SessionOpened,
    SessionReleased,
    SessionStopping,
    TicketsQueued,
    UnitsSetAside,
)
from parexec_tui.core.state.events.session import Neighbour as Neighbour
from parexec_tui.core.state.events.tickets import (
    ApprovalAsked,
    BackoffEnded,
    FinallyAgain,
    PriorityChanged,
    TicketApproved,
    TicketCancelled,
    TicketHeld,
    TicketPinned,
    TicketPutBack,
    TicketRejected,
    TicketReleased,
    TicketRetried,
    TicketsGenerated,
    TicketUnrunnable,
    TicketWaived,
)
from parexec_tui.core.state.events.tuning import ParallelTuned
from parexec_tui.core.state.events.tuning import TuningCause as TuningCause
from parexec_tui.core.state.events.waiting import (
    ConflictFound,
    QuestionAnswered,
    QuestionAsked,
    QuestionFrozen,
    QuestionThawed,
    ReservationEnded,
    ReservationMade,
    TicketSatisfied,
    WhenAnswered,
)
from parexec_tui.core.state.events.worktrees import (
    ConflictAverted,
    ConflictForeseen,
    MergeStarted,
    RepositoryLeft,
    ResolutionLeft,
    RoomAwaited,
    SecretAwaited,
    WorkCommitted,
    WorkConflicted,
    WorkLost,
    WorkMerged,
    WorktreeDropped,
    WorktreeKept,
    WorktreeMade,
)
from parexec_tui.core.state.events.worktrees import MergeSide as MergeSide

AnyEvent = (
    SessionOpened
    | PoolInitialised
    | TicketsQueued
    | AgentsDeployed
    | MonitoringStarted
    | FailuresHandled
    | CompletionValidated
    | SessionFinished
    | EngineLeft
    | SessionInterrupted
    | NeighboursSeen
    | HostPressed
    | HostRelieved
    | HostReached
    | HostUnreachable
    | HostUnusable
    | HostHeld
    | HostDraining
    | HostReleased
    | HostScaled
    | UnitsSetAside
    | SecretsLooked
    | MemoryMeasured
    | PeaksLearned
    | StartedAnyway
    | PressureRaised
    | PressureEased
    | SessionHeld
    | SessionReleased
    | SessionDraining
    | DrainEnded
    | SessionStopping
    | AccountRests
    | AccountTried
    | AccountWell
    | ConversationKnown
    | TicketAnswered
    | TicketAsks
    | QuestionWithdrawn
    | AgentStarted
    | AgentHeld
    | AgentReleased
    | AgentDraining
    | AgentQuarantined
    | AgentStopped
    | ConflictFound
    | DurationsLearned
    | OrderFound
    | EtaTold
    | ReservationMade
    | ReservationEnded
    | QuestionAsked
    | QuestionFrozen
    | QuestionThawed
    | QuestionAnswered
    | TicketSatisfied
    | WhenAnswered
    | AttemptStarted
    | AttemptSpawned
    | StepEnded
    | StepStarted
    | CheckFailed
    | CheckHeld
    | AttemptFrozen
    | AttemptThawed
    | AttemptStopRequested
    | AttemptEnded
    | WorktreeMade
    | WorkCommitted
    | WorkConflicted
    | ConflictForeseen
    | ConflictAverted
    | MergeStarted
    | WorkMerged
    | WorkLost
    | RepositoryLeft
    | ResolutionLeft
    | RoomAwaited
    | SecretAwaited
    | WorktreeKept
    | WorktreeDropped
    | SnapshotTaken
    | SnapshotDropped
    | RollbackAsked
    | RollbackStarted
    | RollbackEnded
    | ServiceStarted
    | ServiceSpawned
    | ServiceReady
    | ServiceFrozen
    | ServiceThawed
    | ServiceStopRequested
    | ServiceEnded
    | ServiceRenewed
    | StraysEnded
    | WroteUnclaimed
    | LogCut
    | BackoffEnded
    | TicketHeld
    | TicketReleased
    | TicketCancelled
    | TicketUnrunnable
    | TicketsGenerated
    | TicketRetried
    | FinallyAgain
    | ApprovalAsked
    | TicketApproved
    | TicketRejected
    | TicketWaived
    | TicketPutBack
    | TicketPinned
    | PriorityChanged
    | PlanAmended
    | AgentTypeHeld
    | AgentTypeReleased
    | TypeScaled
    | BudgetChanged
    | ParallelChanged
    | ParallelTuned
    | FailurePolicyChanged
    | OperatorActed
)
