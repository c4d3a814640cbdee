"""prune: what is kept of sessions that are over."""

import time
from typing import TYPE_CHECKING

import click

from parexec_tui.cli.asking import as_json_option, seconds
from parexec_tui.cli.exits import BAD_USAGE, NOT_DONE, fail, report_errors

if TYPE_CHECKING:
    from parexec_tui.keeping.pruning import Policy, Refs, Survey


@click.command()
@click.option("--keep", type=click.IntRange(min=0), metavar="N", help="The newest N sessions of each plan stay.")
@click.option("--older", callback=seconds, metavar="DURATION", help="What ended less than this ago stays: 30d.")
@click.option("--stopped", is_flag=True, help="Also sessions that were stopped and could go on.")
@click.option("--snapshots", is_flag=True, help="Also sessions with snapshots of files, for a rollback.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go, and what stays all the same.")
@as_json_option
@report_errors()
def prune(
    keep: int | None, older: float | None, stopped: bool, snapshots: bool, dry_run: bool, as_json: bool
) -> None:
    """Remove sessions that are over: their events, logs and folders. What their attempts took stays, for estimates.

    --keep and --older are by default those of `[prune]` in the settings: 20 and 30d. A session has to be beyond both.
    What lives or was interrupted is never removed, nor is a session with worktrees whose work is not merged.
    """
    import msgspec

    from parexec_tui.engine.backends.local.worktrees.forgetting import Forgetter
    from parexec_tui.engine.housekeeping import keep_house_later
    from parexec_tui.keeping.pruning import carry_out, foreseen, survey
    from parexec_tui.paths import registry_file
    from parexec_tui.registry.errors import RegistryMissing
    from parexec_tui.registry.registry import Registry

    policy = _policy(keep, older, stopped, snapshots)
    now = time.time()
    try:
        with Registry.open(registry_file(), create=False, read_only=dry_run) as registry:
            found = survey(registry, policy, now)
            failed: list[str] = []
            if dry_run:
                found = foreseen(found, Forgetter())
            else:
                found, failed = carry_out(registry, found, policy, now, Forgetter())
    except RegistryMissing:
        from parexec_tui.client.sessions import NO_SESSIONS

        click.echo(f"parexec: {NO_SESSIONS}", err=True)
        return
    if found.go and not dry_run:
        keep_house_later()
    if as_json:
        facts = {
            "dry_run": dry_run,
            "removed": found.go,
            "spared": found.spared,
            "stay": found.stay,
            "remnants": found.remnants,
            "unfinished": found.unfinished,
            "size": sum(each.size for each in found.go),
            "failed": failed,
        }
        click.echo(msgspec.json.encode(facts))
    else:
        _print(found, policy, dry_run=dry_run)
    if failed:
        fail("\n".join(failed), NOT_DONE)


def _policy(keep: int | None, older: float | None, stopped: bool, snapshots: bool) -> "Policy":
    from parexec_tui.keeping.pruning import Policy
    from parexec_tui.settings import SettingsError, read_settings

    try:
        known = read_settings().prune
    except SettingsError as error:
        fail(f"nothing is removed: {error}", BAD_USAGE)
    return Policy(known.keep if keep is None else keep, known.older if older is None else older, stopped, snapshots)


def _print(found: "Survey", policy: "Policy", *, dry_run: bool) -> None:
    from parexec_tui.core.plan.units import format_count, format_size
    from parexec_tui.keeping.pruning import words_of
    from parexec_tui.text.words import day_and_clock, printable

    for each in found.go:
        size, ended = format_size(each.size), day_and_clock(each.ended)
        click.echo(f"{each.session}  ended {ended}  {size:>9}  {printable(each.name)}")
    for rest in found.remnants:
        click.echo(f"{rest}  what was left of it")
    for rest in found.unfinished:
        click.echo(f"{rest}  what was left of an import that was broken off")
    would = "would be removed" if dry_run else "removed"
    size = format_size(sum(each.size for each in found.go))
    stay = f"the policy keeps {found.stay}: {words}" if (words := words_of(policy)) else "the policy keeps none"
    click.echo(f"{format_count(len(found.go), 'session')} {would}, {size}; {stay}")
    for each in found.go:
        if line := _refs_line(each.session, each.refs, "would be deleted" if dry_run else "deleted"):
            click.echo(printable(line))
    for spared in found.spared:
        remedy = f"; {spared.remedy}" if spared.remedy else ""
        click.echo(f"{spared.session} stays: {printable(spared.why)}{printable(remedy)}")


def _refs_line(session: str, refs: "Refs", deleted: str) -> str:
    """What becomes of the refs of a session, for a person; empty if it left none."""
    from parexec_tui.core.plan.units import format_count
    from parexec_tui.text.words import and_others

    if refs.problem:
        return f"{session}: whether it left branches in {refs.folder} is not known: {refs.problem}"
    parts = []
    if refs.gone:
        parts.append(f"{format_count(len(refs.gone), 'merged branch', 'merged branches')} {deleted}")
    if refs.stay:
        names = and_others(refs.stay)
        parts.append(f"not merged or checked out, so left there: {names}; to delete one: git update-ref -d REF")
    return f"{session}: in {refs.folder}: {'; '.join(parts)}" if parts else ""


COMMANDS: tuple[click.Command, ...] = (prune,)
