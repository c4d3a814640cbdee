"""Keys that other tools have for tickets and plans, and what a plan has instead."""

_NEEDS = "write `needs`: the tickets that must succeed before this one starts"
_AFTER = "write `after`, which waits for the end of a ticket, or `needs`, which waits for its success"
_READS = "write `reads`: patterns of the files it reads; they keep writers away, nothing is skipped as up to date"
_WRITES = "write `writes`: patterns of the files it writes; they keep others away, nothing is skipped as up to date"
_RUN = "write `run`: one string, a shell command of one or more lines"
_SHELL = "a command is `run`; the shell that runs it is `shell` of [plan], or of an agent type"
_GO_ON = 'write `allow_failure = true`, and `needs = ["ID?"]` in tickets that go on without it'
_IF = "write `skip_if = '! TEST'`: a command; if it succeeds, the ticket counts as done and is not run"
_ALWAYS = "write `finally = true`: it runs at the end, when all other tickets are over, however they ended"
_CWD = "write `cwd`: the folder it runs in, seen from the workdir"

_TICKET_KEYS = {
    **dict.fromkeys(("depends_on", "depends", "dependencies", "deps", "parents", "upstream"), _NEEDS),
    **dict.fromkeys(("wait_for", "runs_after", "run_after", "order_only"), _AFTER),
    **dict.fromkeys(("inputs", "input", "sources"), _READS),
    **dict.fromkeys(("targets", "artifacts", "generates"), _WRITES),
    **dict.fromkeys(("command", "commands", "cmd", "cmds", "script", "exec"), _RUN),
    "shell": _SHELL,
    **dict.fromkeys(("continue_on_error", "ignore_errors", "ignore_error", "can_fail", "may_fail"), _GO_ON),
    **dict.fromkeys(("if", "when", "only", "except", "condition"), _IF),
    **dict.fromkeys(("always", "run_always", "cleanup", "teardown"), _ALWAYS),
    **dict.fromkeys(("dir", "directory", "working_directory", "working_dir", "workdir"), _CWD),
}

_STOP = 'write `on_failure = "stop"`, or run it with --fail-fast: the first failure ends what runs'
_CARRY_ON = "write `on_failure`: what does not depend on a failed ticket runs all the same, unless it says otherwise"
_PLAN_KEYS = {
    **dict.fromkeys(("fail_fast", "halt_on_error", "stop_on_failure", "exit_on_error", "bail"), _STOP),
    **dict.fromkeys(("keep_going", "continue_on_error", "ignore_errors"), _CARRY_ON),
}


def hint_for_plan_key(key: str) -> str:
    """What to write in [plan] instead of a key that other tools have; empty for any other key."""
    return _PLAN_KEYS.get(key.casefold().replace("-", "_"), "")


def hint_for_ticket_key(key: str) -> str:
    """What to write instead of a key that other tools have; empty for any other key."""
    return _TICKET_KEYS.get(key.casefold().replace("-", "_"), "")
