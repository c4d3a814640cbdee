"""What a request would do to the end of the session, in words: simulated in a thread while the screen goes on."""

import asyncio
from contextlib import suppress
from functools import partial
from random import Random
from typing import Final

from parexec_tui.core.predict.foreseen import is_foreseen
from parexec_tui.core.predict.what_if import WhatIf, what_if
from parexec_tui.core.rules.narrow import narrow
from parexec_tui.core.schedule.forecast import Forecast, comes_to_an_end
from parexec_tui.core.state.copying import copy_of
from parexec_tui.core.wire.requests import AnyRequest, Cancel, Freeze, Prioritise, Scale, Waive
from parexec_tui.text.prediction import effect_text
from parexec_tui.tui.actions.context import ActionContext

_FORESEEN: Final = (Cancel, Freeze, Prioritise, Scale, Waive)

_MAX_TICKETS: Final = 2_000
"""Tickets that there are at most: to copy them, the screen has to wait 10 us for each."""

_WITHIN: Final = 0.3
"""Seconds that are waited for it at most."""


async def effect_of(context: ActionContext, request: AnyRequest) -> str:
    """`finishes about 4m earlier`; empty if that cannot be told, or not soon. The session is that of now."""
    state, now = context.view.live, context.view.now
    if state is None or not isinstance(request, _FORESEEN) or len(state.tickets) > _MAX_TICKETS:
        return ""
    if not is_foreseen(state) or not comes_to_an_end(state) or Forecast(state).usual is None:
        return ""
    request, _ = narrow(state, request)
    simulate = partial(
        what_if,
        copy_of(state),
        [request],
        now,
        Random(1).random,
        draws=Random(1),
        told=context.view.told(),
        samples=0,
        is_quick=True,
    )
    found = None
    with suppress(Exception):  # it took too long; or there is a mistake of ours, for which no screen is to end
        found = await asyncio.wait_for(asyncio.to_thread(simulate), _WITHIN)
    return effect_text(found) if isinstance(found, WhatIf) else ""
