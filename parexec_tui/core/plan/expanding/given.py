"""What a person says of the variables of a plan."""

from collections.abc import Mapping

from msgspec import Struct

from parexec_tui.core.plan.reading.faults import did_you_mean, listed

VARIABLE_PREFIX = "PAREXEC_VAR_"
"""`PAREXEC_VAR_mode=release` in the environment is `--set mode=release`."""


class Given(Struct, frozen=True, omit_defaults=True):
    """What a person says of the variables of a plan; it is kept with the session, so that `reload` says the same."""

    profile: str = ""
    environment: dict[str, str] = {}
    """{variable: value} by `PAREXEC_VAR_`: names that the plan does not have are no mistakes."""
    sets: dict[str, str] = {}
    """{variable: value} by `--set`."""

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return bool(self.profile or self.environment or self.sets)


def over(given: Given, before: Given) -> Given:
    """What is said now, and what was said before and is not said otherwise; the environment is that of before."""
    return Given(given.profile or before.profile, before.environment, {**before.sets, **given.sets})


def passed_over(given: Given, variables: Mapping[str, str]) -> str:
    """Says it if the environment speaks of variables that a plan with [vars] does not have; else empty."""
    unknown = [name for name in given.environment if name not in variables] if variables else []
    if not unknown:
        return ""
    hint = did_you_mean(unknown[0], variables) or f"it has {listed(variables)}"
    return f"{listed(f'{VARIABLE_PREFIX}{name}' for name in unknown)}: the plan has no such variable, {hint}"


class GivenError(ValueError):
    """What a person said cannot be; the text says why, and what can be."""
