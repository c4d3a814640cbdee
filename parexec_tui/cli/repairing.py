"""`doctor --repair`: the registry is replaced by what can be saved of it."""

from functools import partial

import click

from parexec_tui.cli.exits import SUCCEEDED, UNSUCCESSFUL
from parexec_tui.paths import registry_file
from parexec_tui.registry.repair import repair
from parexec_tui.text.salvaged import all_is_there, next_step, what_is_there
from parexec_tui.text.words import printable


def repair_registry(*, dry_run: bool) -> int:
    """Repair the registry and say what was saved; returns the exit code. Raises RegistryError, OSError."""
    from parexec_tui.engine.backends.local.failures import recorded_end
    from parexec_tui.engine.lifecycle.settle import settle

    file = registry_file()
    done = repair(file, dry_run=dry_run, settle=partial(settle, recorded_end=recorded_end))
    if not done.check.damage:
        click.echo(f"nothing to repair: {all_is_there(done.check)}")
        return SUCCEEDED
    click.echo(printable(f"damaged: {done.check.damage}"))
    for found in done.found:
        click.echo(printable(f"{'whole' if found.is_whole else 'LOST '}  {what_is_there(found)}"))
        if step := next_step(found):
            click.echo(f"       {printable(step)}")
    for session in done.unknown:
        click.echo(f"LOST   session {session}: nothing but its folder is left, with logs; run its plan again")
    if dry_run:
        click.echo("nothing was changed; to do it: parexec doctor --repair")
    else:
        click.echo(f"repaired: {file}; as it was before: {done.copy}")
    return SUCCEEDED if all(found.is_whole for found in done.found) and not done.unknown else UNSUCCESSFUL
