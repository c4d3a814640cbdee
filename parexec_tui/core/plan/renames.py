"""Which tickets of a plan only got another id."""

from collections import Counter
from collections.abc import Mapping

Content = tuple[str, str, str]
"""What a ticket is known by when its id is another: title, command and prompt."""


def renames(old: Mapping[str, Content], new: Mapping[str, Content]) -> dict[str, str]:
    """{id in the old plan: id in the new one} of tickets whose content stayed the same.

    Not if several have that content, or if one of both ids is in the other plan, too: then both were there at once.
    """
    once = [{each: id_ for id_, each in tickets.items() if any(each)} for tickets in (old, new)]
    alike = [Counter(tickets.values()) for tickets in (old, new)]
    return {
        id_: renamed
        for each, id_ in once[0].items()
        if (renamed := once[1].get(each)) is not None
        and alike[0][each] == alike[1][each] == 1
        and id_ not in new
        and renamed not in old
    }
