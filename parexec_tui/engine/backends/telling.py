"""What a coding agent is told of its attempt, before the files are read that belong to it."""

from typing import NamedTuple

from parexec_tui.agents.brief import Brief
from parexec_tui.agents.prompts import Earlier, Told, prompt_going_on, prompt_of
from parexec_tui.core.state.process_key import ProcessKey


class Telling(NamedTuple):
    """What the prompt of an attempt is made of. Files are read when it starts: see `composed`."""

    brief: Brief
    """Without prompts."""
    prompt: str
    prompt_file: str = ""
    """The file that has the prompt; absolute. Empty: none."""
    earlier: tuple[Earlier, ...] = ()
    output_of: ProcessKey | None = None
    """The process whose last lines tell how the newest of them ended."""
    told: Told = Told()
    is_own: bool = True
    """Whether the conversation that it goes on with is about this ticket."""


def composed(telling: Telling, prompt: str, output: str, *, kept: str = "", gone: str | None = None) -> Brief:
    """A brief with its prompts. `output`: the last of what `output_of` printed; `kept`, `gone`: as in `Earlier`."""
    earlier = telling.earlier
    if earlier:
        earlier = (*earlier[:-1], earlier[-1]._replace(output=output, kept=kept, gone=gone))
    fresh = prompt_of(prompt, earlier, telling.told)
    going_on = prompt_going_on(earlier[-1] if earlier else None, telling.told) if telling.is_own else fresh
    return telling.brief._replace(prompt=fresh, prompt_going_on=going_on if telling.brief.goes_on else "")
