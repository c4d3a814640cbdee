"""Which part of a session's time a timeline shows, and where its cursor is in it."""

from parexec_tui.tui.drawing.time_window import Window, axis, ticks

MIN_SPAN = 4.0
"""The fewest seconds that can be shown."""

Whole = tuple[float, float]
"""From the start of the session to the last that is known of it, in seconds since the epoch."""


class ShownTime:
    """A part that a person chose by zooming, or all of it. Without a moment of its own the cursor is at now."""

    def __init__(self) -> None:
        self.moment: float | None = None
        """Where the cursor is; None: at now, or at the last thing of its row before."""
        self.window: Window | None = None
        """What is shown; None: there is no room, or nothing to show yet."""
        self.axis = ""
        self._axis_of: tuple[Window, float] | None = None
        """The window and the start of the session that the axis was made for."""
        self._zoomed: Window | None = None
        """The part that is shown; None: the whole session."""

    def at(self, now: float) -> float:
        """The moment of the cursor."""
        return now if self.moment is None else self.moment

    def lay_out(self, whole: Whole, cells: int, now: float) -> None:
        """Find what is shown in so many cells. What is zoomed goes along with now, unless the cursor is elsewhere."""
        if self._zoomed is None:
            self.window = Window(*whole, cells)
        else:
            zoomed = self._zoomed._replace(width=cells)
            if self.moment is None:
                zoomed = zoomed.showing(now)
            self._zoomed = self.window = zoomed.within(*whole)
        if (self.window, whole[0]) != self._axis_of:
            self.axis, self._axis_of = axis(ticks(self.window, whole[0]), cells), (self.window, whole[0])

    def clear(self) -> None:
        """Show nothing until there is room."""
        self.window, self.axis, self._axis_of = None, "", None

    def show_whole(self) -> None:
        """Show the whole session, with the cursor at now. To be laid out again."""
        self._zoomed = self.moment = None

    def show_moment(self) -> bool:
        """Move the part that is shown so that it has the moment of the cursor. Whether it is to be laid out again."""
        if self._zoomed is None or self.moment is None:
            return False
        self._zoomed = self._zoomed.showing(self.moment)
        return True

    def zoom(self, factor: float, whole: Whole, now: float) -> bool:
        """Show `factor` times as much time, around the cursor. Whether it is to be laid out again."""
        if self.window is None or (factor < 1 and self.window.span * factor < MIN_SPAN):
            return False
        around = self.at(now)
        window = self.window.showing(around).zoomed(factor, around)
        self._zoomed = None if window.span >= whole[1] - whole[0] else window
        return True

    def pan(self, steps: int, whole: Whole, now: float) -> bool:
        """Move what is shown by half of it, and the cursor with it. Whether it is to be laid out again."""
        if self.window is None or self._zoomed is None:
            return False
        window = self.window.moved(steps * self.window.span / 2).within(*whole)
        if not window.start <= self.at(now) < window.end:
            self.moment = window.start + window.span / 2
        self._zoomed = window
        return True
