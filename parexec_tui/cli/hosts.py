"""`hosts`: each machine of a plan is reached before anything runs there, and how it stands in a session is told."""

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from parexec_tui.cli.asking import as_json_option, report_errors
from parexec_tui.cli.exits import BAD_USAGE, SUCCEEDED, UNSUCCESSFUL, fail
from parexec_tui.cli.states import is_plan, past_state
from parexec_tui.cli.variables import refuse_given, variable_options

if TYPE_CHECKING:
    from parexec_tui.core.plan.expanding.given import Given
    from parexec_tui.core.plan.hosts import HostSpec
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.wire.protocol import HostFact
    from parexec_tui.engine.backends.remote.look import Look

_CHECK = "check"


@click.command()
@click.argument("words", metavar="[check] [PLAN|SESSION]", nargs=-1, type=click.Path())
@variable_options
@as_json_option
@click.option(
    "--try", "tries", is_flag=True, help="Set up a host to try things with: this machine, by an sshd of your own."
)
@click.option("--remove", is_flag=True, help="With --try: remove it, and all that was kept on it.")
@report_errors()
def hosts(words: tuple[str, ...], given: "Given", as_json: bool, tries: bool, remove: bool) -> None:
    """Reach each host of PLAN, or of SESSION (default: the newest of this directory), and those of your settings.

    All at once, as an engine reaches them; nothing is run there. It says what each has: cpus, memory, free disk,
    Python, its clock, the folder in which tickets run; or what is missing, with the command that mends it. While an
    engine runs the session, also how each host stands there: tickets, since when it is unreachable, leases.

    With --try, there is a host that plans reach by ssh = "parexec-try", until it is removed, or this machine boots:
    an sshd on the loopback that lets in you alone, with keys and settings in the state folder, not in ~/.ssh.

    Exits with 0 if all of them can be used, 1 if one cannot, 2 if the plan has errors.
    """
    if remove and not tries:
        raise click.UsageError("--remove is for --try")
    if tries:
        if words or as_json:
            raise click.UsageError("--try is about a host of its own: leave PLAN, SESSION and --json out")
        sys.exit(_remove_try_host() if remove else _set_up_try_host())
    from parexec_tui.core.plan.reading.faults import listed
    from parexec_tui.engine.backends.remote.look import look_at, same_machines, ssh_version
    from parexec_tui.text.words import printable

    wanted = _wanted(_target(words), given)
    if not wanted.hosts and not as_json:
        click.echo("no hosts: neither the plan nor your settings name any; see parexec help machines")
        return
    if not as_json:
        click.echo(f"{'fine' if ssh_version() else 'LOOK'}  ssh of this machine: {ssh_version() or 'there is none'}")
    found = look_at(wanted.hosts, wanted.workdir, None if as_json else partial(_print, wanted))
    if as_json:
        import msgspec

        standing = {name: wanted.standing(name) for name in wanted.hosts}
        looks = [{**msgspec.to_builtins(look), "standing": standing[look.host]} for look in found]
        click.echo(msgspec.json.encode({"ssh": ssh_version(), "session": wanted.session, "hosts": looks}))
    else:
        for names in same_machines(found):
            click.echo(
                printable(f"      {listed(names)} are one machine: its cpus and memory count for each of them")
            )
    sys.exit(UNSUCCESSFUL if any(look.problem for look in found) else SUCCEEDED)


class _Wanted(NamedTuple):
    """What is looked at."""

    hosts: "dict[str, HostSpec]"
    workdir: str = ""
    """Of the plan, if there is one."""
    state: "SessionState | None" = None
    """Of the session whose engine knows how hosts stand."""

    @property
    def session(self) -> str | None:
        return self.state.session if self.state is not None else None

    def standing(self, name: str) -> "HostFact | None":
        """How a host stands in the session; None: that does not know it, or there is none."""
        if self.state is None or (host := self.state.hosts.get(name)) is None or host.spec != self.hosts.get(name):
            return None
        from parexec_tui.text.host_facts import host_fact

        return host_fact(self.state, host)


def _set_up_try_host() -> int:
    from parexec_tui.core.plan.hosts import HostSpec
    from parexec_tui.engine.backends.remote.look import look_at
    from parexec_tui.engine.backends.remote.ssh import TRY_TARGET
    from parexec_tui.engine.backends.remote.try_host import TryHostError, set_up
    from parexec_tui.paths import try_host

    try:
        sshd, is_new = set_up()
    except TryHostError as error:
        fail(str(error), UNSUCCESSFUL)
    began = "set up" if is_new else "there already"
    click.echo(f"{began}: an sshd on 127.0.0.1, port {sshd.port}, pid {sshd.pid}; all of it is in {try_host()}")
    (look,) = look_at({TRY_TARGET: HostSpec(ssh=TRY_TARGET)}, tell=partial(_print, _Wanted({})))
    if look.problem:
        return UNSUCCESSFUL
    click.echo("now: parexec run sample_plans/hosts.toml; afterwards: parexec hosts --try --remove")
    return SUCCEEDED


def _remove_try_host() -> int:
    from parexec_tui.engine.backends.remote.try_host import TryHostError, remove

    try:
        click.echo("removed" if remove() else "there was none")
    except TryHostError as error:
        fail(str(error), UNSUCCESSFUL)
    return SUCCEEDED


def _target(words: tuple[str, ...]) -> str | None:
    """What is meant beside the word `check`, which may be left out."""
    rest = words[1:] if words[:1] == (_CHECK,) else words
    if len(rest) > 1:
        raise click.UsageError(f"one PLAN or SESSION at a time: {' '.join(rest)}")
    return rest[0] if rest else None


def _wanted(target: str | None, given: "Given") -> _Wanted:
    """The hosts of a plan or a session, and those of the settings."""
    from parexec_tui.client.sessions import NoSuchSession, is_living
    from parexec_tui.settings import SettingsError, read_settings

    try:
        known = read_settings().hosts
    except SettingsError as error:
        fail(str(error), BAD_USAGE)
    plan = None
    if target is not None and is_plan(target):
        from parexec_tui.cli.plans import plan_of
        from parexec_tui.engine.measure.monitor import host

        plan, target = plan_of(Path(target), host(), given=given), None
    else:
        refuse_given(given)
    try:
        state = past_state(target)
    except NoSuchSession:
        if target is not None:
            raise
        return _Wanted(known) if plan is None else _Wanted(known | plan.hosts, plan.workdir)
    plan = plan or state.plan
    return _Wanted(known | plan.hosts, plan.workdir, state if is_living(state.session) else None)


def _print(wanted: _Wanted, look: "Look") -> None:
    from parexec_tui.cli.host_words import told_of
    from parexec_tui.text.words import printable

    for fine, text, remedy in told_of(look):
        click.echo(printable(f"{'fine' if fine else 'LOOK'}  {text}"))
        if remedy:
            click.echo(printable(f"      do: {remedy}"))
    if (fact := wanted.standing(look.host)) is not None:
        from parexec_tui.client.sockets import own_signature
        from parexec_tui.text.hosts import lease_text, slots_text, standing_text

        now = time.time()
        stands = standing_text(fact, now, own_signature()) or "reachable"
        parts = (slots_text(fact), stands, lease_text(fact, now))
        click.echo(printable(f"      in {wanted.session}: {'; '.join(filter(None, parts))}"))


COMMANDS: tuple[click.Command, ...] = (hosts,)
