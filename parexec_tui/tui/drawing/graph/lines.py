"""Box-drawing signs: which one has arms up, right, down and left, each light, heavy or absent."""

LIGHT, HEAVY = 1, 2
"""Weights of an arm; 0: no arm."""

_BOX = " ╴╸╷┐┑╻┒┓╶─╾┌┬┭┎┰┱╺╼━┍┮┯┏┲┳╵┘┙│┤┥╽┧┪└┴┵├┼┽┟╁╅┕┶┷┝┾┿┢╆╈╹┚┛╿┦┩┃┨┫┖┸┹┞╀╃┠╂╉┗┺┻┡╄╇┣╊╋"
"""The sign of every combination of arms, counted in threes: up, right, down, left."""

_ROUND = {"┌": "╭", "┐": "╮", "└": "╰", "┘": "╯"}

_ASCII = " -|\\--/+|/|+\\+++"
"""By a bit for each arm: up, right, down, left."""

_ASCII_HEAVY = {"-": "=", "|": "#"}


def line(up: int, right: int, down: int, left: int) -> str:
    """The box-drawing sign with arms of these weights; corners are round while they are light."""
    sign = _BOX[27 * up + 9 * right + 3 * down + left]
    return _ROUND.get(sign, sign)


def ascii_line(up: int, right: int, down: int, left: int) -> str:
    """As `line`, in ASCII: `= #` are heavy `- |`."""
    arms = (up, right, down, left)
    sign = _ASCII[8 * bool(up) + 4 * bool(right) + 2 * bool(down) + bool(left)]
    return _ASCII_HEAVY.get(sign, sign) if max(arms) == HEAVY else sign
