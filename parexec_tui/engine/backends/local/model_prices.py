"""What the tokens of a model cost, as the package genai-prices knows it, if that is installed."""

import contextlib
from functools import lru_cache

from parexec_tui.agents.streams.reader import Prices


@lru_cache(maxsize=64)
def prices_of(model: str) -> Prices | None:
    """The list prices of a model, without those for long prompts; None: nobody knows them.

    The first call takes half a second, where the package is installed.
    """
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    for name in dict.fromkeys((model, model.rpartition("/")[2])):  # some CLIs name the provider before it
        with contextlib.suppress(LookupError):
            return Prices(
                *(
                    float(calc_price(used, model_ref=name).total_price) * 1e3
                    for used in (
                        Usage(input_tokens=1000),
                        Usage(output_tokens=1000),
                        Usage(input_tokens=1000, cache_read_tokens=1000),
                    )
                )
            )
    return None
