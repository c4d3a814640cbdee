"""What must hold between the tables of a plan, each of which is right in itself: one function for each rule.

A plan may have 100,000 tickets and usually has no mistake, so a rule first asks the cheapest question that tells
"nothing is wrong here", and looks for the place only after that.
"""

from itertools import chain

from parexec_tui.core.plan.model import Host
from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.reading.rules.agents import agents_have_room, somebody_can_run_it
from parexec_tui.core.plan.reading.rules.coding import coding_clis_can_be_started, conversations_go_on
from parexec_tui.core.plan.reading.rules.commands import (
    conditions_can_be_asked,
    environments_are_valid,
    failures_are_known,
    patterns_are_valid,
    progress_can_be_read,
    requirements_can_be_checked,
    rollbacks_take_back_something,
    shells_take_a_command,
    texts_have_no_nul,
)
from parexec_tui.core.plan.reading.rules.draft import Draft, Rule
from parexec_tui.core.plan.reading.rules.gates import checks_can_be_made, gates_can_be_run
from parexec_tui.core.plan.reading.rules.generated import generators_can_be_awaited
from parexec_tui.core.plan.reading.rules.groups import gates_do_not_wait_for_themselves, groups_are_known
from parexec_tui.core.plan.reading.rules.hosts import (
    demands_can_be_met_somewhere,
    hosts_can_be_used,
    hosts_can_give_it,
)
from parexec_tui.core.plan.reading.rules.limits import (
    demands_can_be_met,
    limits_can_be_kept,
    logs_have_room,
    retries_have_something_to_raise,
    time_is_given,
)
from parexec_tui.core.plan.reading.rules.names import (
    ids_differ_in_more_than_case,
    names_are_plain,
    units_have_variables_of_their_own,
)
from parexec_tui.core.plan.reading.rules.needs import ends_are_apart, needs_are_known, needs_have_no_cycle
from parexec_tui.core.plan.reading.rules.otel import spans_can_be_sent
from parexec_tui.core.plan.reading.rules.secrets import secrets_can_be_given
from parexec_tui.core.plan.reading.rules.services import services_are_known, services_can_be_run
from parexec_tui.core.plan.reading.rules.values import values_are_needed
from parexec_tui.core.plan.reading.rules.when import when_can_be_answered
from parexec_tui.core.plan.reading.rules.worktrees import worktrees_can_be_made

_RULES: tuple[Rule, ...] = (
    names_are_plain,
    units_have_variables_of_their_own,
    ids_differ_in_more_than_case,
    needs_are_known,
    ends_are_apart,
    groups_are_known,
    needs_have_no_cycle,
    gates_do_not_wait_for_themselves,
    agents_have_room,
    hosts_can_be_used,
    hosts_can_give_it,
    coding_clis_can_be_started,
    conversations_go_on,
    somebody_can_run_it,
    logs_have_room,
    limits_can_be_kept,
    time_is_given,
    retries_have_something_to_raise,
    progress_can_be_read,
    shells_take_a_command,
    patterns_are_valid,
    gates_can_be_run,
    rollbacks_take_back_something,
    checks_can_be_made,
    failures_are_known,
    conditions_can_be_asked,
    requirements_can_be_checked,
    environments_are_valid,
    secrets_can_be_given,
    texts_have_no_nul,
    services_are_known,
    services_can_be_run,
    worktrees_can_be_made,
    spans_can_be_sent,
    values_are_needed,
    generators_can_be_awaited,
    when_can_be_answered,
)


def broken_rules(draft: Draft, host: Host | None = None) -> list[Fault]:
    """Everything that is wrong between the tables of a plan; the same fault of many tickets' default, once."""
    found = chain.from_iterable(rule(draft) for rule in _RULES)
    demands = demands_can_be_met_somewhere if draft.hosts else demands_can_be_met
    return list(dict.fromkeys(chain(found, demands(draft, host))))
