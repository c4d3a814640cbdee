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
