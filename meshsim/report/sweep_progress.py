"""How far a sweep is: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from meshsim.report.numbers import duration
from meshsim.report.shorten import short

if TYPE_CHECKING:
    from rich.console import Group

    from meshsim.experiment.points import Landed, Watch

#: Seconds between two plain lines.
_EVERY = 10.0
#: Points that the live table shows.
_WORST = 5


class Progress:
    """What has landed so far.

    Parameters
    ----------
    total
        Units there are; 0 where nobody knows, as a search goes on until it has found.
    clock
        Seconds, from anywhere.

    Examples
    --------
    >>> from meshsim.experiment import Unit
    >>> from meshsim.experiment.points import Landed
    >>> times = iter([0.0, 2.0, 2.0])
    >>> progress = Progress(4, lambda: next(times))
    >>> progress.landed(Landed("load.scale=2", Unit("hybrid", 0), 3000, 1.5, False))
    >>> progress.line()
    '1/4 units, 1,500 calls/s, 6 s left; slowest: load.scale=2 (1.5 s)'
    """

    def __init__(self, total: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = self.found = self.calls = 0
        self._clock = clock
        self._began = clock()
        self._slowest: dict[str, tuple[float, int]] = {}

    def landed(self, unit: Landed) -> None:
        """Count a unit."""
        self.done += 1
        if unit.found:
            self.found += 1
            return
        self.calls += unit.calls
        seconds, units = self._slowest.get(unit.where, (0.0, 0))
        self._slowest[unit.where] = (seconds + unit.seconds, units + 1)

    def slowest(self) -> list[tuple[str, float]]:
        """Return the points that took longest, with the mean seconds of their units."""
        means = [(where, seconds / units) for where, (seconds, units) in self._slowest.items()]
        return sorted(means, key=lambda pair: -pair[1])[:_WORST]

    def counted(self) -> str:
        """Return how many are done, in words."""
        known = f", {self.found} found" if self.found else ""
        return (f"{self.done}/{self.total}" if self.total else f"{self.done}") + f" units{known}"

    def speed(self, seconds: float) -> str:
        """Return calls per second of wall time and what is left, after a comma; nothing where nothing was computed."""
        computed = self.done - self.found
        if not computed:
            return ""
        rate = f", {self.calls / max(seconds, 1e-9):,.0f} calls/s"
        if self.done >= self.total:
            return rate
        return f"{rate}, {duration((self.total - self.done) * seconds / computed)} left"

    def line(self) -> str:
        """Return all of it in one line."""
        worst = self.slowest()
        last = f"; slowest: {worst[0][0]} ({duration(worst[0][1])})" if worst else ""
        return f"{self.counted()}{self.speed(self._clock() - self._began)}{last}"

    def table(self) -> Group:
        """Return all of it for a terminal."""
        from rich import box
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        bar = ProgressBar(total=self.total or None, completed=self.done, width=40, pulse=not self.total)
        table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
        table.add_column("slowest points")
        table.add_column("per unit", justify="right")
        for where, seconds in self.slowest():
            table.add_row(Text(short(where, 70)), duration(seconds))
        words = Text(f"{self.counted()}{self.speed(self._clock() - self._began)}")
        return Group(words, bar, table) if self.slowest() else Group(words, bar)


@contextlib.contextmanager
def sweeping(total: int, *, quiet: bool, stream: Any = None) -> Iterator[Watch | None]:
    """Yield a watch for `meshsim.experiment.points.run`; None, and nothing shown, where nobody wants to know.

    Parameters
    ----------
    total
        Units there are; 0 where nobody knows.
    quiet
        Say nothing.
    stream
        Where to say it; standard error by default.
    """
    if quiet:
        yield None
        return
    out = stream or sys.stderr
    progress = Progress(total)
    with _live(progress) if out.isatty() else _lines(progress, out) as watch:
        yield watch


@contextlib.contextmanager
def _lines(progress: Progress, out: Any) -> Iterator[Watch]:
    """Write a line now and then, and one at the end."""
    last = time.monotonic()

    def watch(unit: Landed) -> None:
        nonlocal last
        progress.landed(unit)
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            print(progress.line(), file=out, flush=True)

    try:
        yield watch
    finally:
        print(progress.line(), file=out, flush=True)


@contextlib.contextmanager
def _live(progress: Progress) -> Iterator[Watch]:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), get_renderable=progress.table, refresh_per_second=4, transient=True):
        yield progress.landed
