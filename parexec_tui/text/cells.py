"""How many cells a text takes, and which letter is in which cell."""

from rich.cells import cell_len, get_character_cell_size


def width_of(text: str) -> int:
    """The cells that a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def cells(text: str, start: int, stop: int) -> tuple[int, int, int]:
    """The letters between two cells: begin, end, and how many cells are blank before the first.

    A wide letter that is cut at either side is left out. A letter without width belongs to the one before it.
    """
    if text.isascii():
        return min(start, len(text)), min(stop, len(text)), 0
    begin, at = (None, 0) if start else (0, 0)
    pad = 0
    for index, letter in enumerate(text):
        width = get_character_cell_size(letter)
        if begin is None and at >= start and width:
            begin, pad = index, at - start
        if width and at + width > stop:
            return (index, index, 0) if begin is None else (begin, max(begin, index), pad)
        at += width
    return (len(text) if begin is None else begin), len(text), pad


def cut_middle(text: str, width: int, *, sign: str = "…") -> str:
    """The text in at most `width` cells, with `sign` in place of its middle where it is longer.

    For ids: `shard-linux-017` and `shard-linux-018` begin alike, and what tells them apart is at the end.
    """
    taken = width_of(text)
    if taken <= width:
        return text
    room = width - width_of(sign)
    if room < 2:
        return text[slice(*cells(text, 0, max(0, width))[:2])]
    tail = room // 2
    _, head, _ = cells(text, 0, room - tail)
    begin, _, _ = cells(text, taken - tail, taken)
    return text[:head] + sign + text[begin:]


def row_starts(text: str, width: int) -> list[int]:
    """The letters at which rows start when the text is wrapped; one row at least."""
    if text.isascii():
        return list(range(0, max(len(text), 1), width))
    starts, room = [0], width
    for index, letter in enumerate(text):
        taken = get_character_cell_size(letter)
        if taken > room:
            if index > starts[-1]:
                starts.append(index)
            room = width
        room -= taken
    return starts
