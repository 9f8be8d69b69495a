"""The breaking point: where, between two values of one field, a number of the runs crosses a bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meshsim.errors import Problem, ScenarioError, gathering
from meshsim.experiment import designs
from meshsim.experiment.breaking import Breaking, Look, State
from meshsim.experiment.designs import Axis
from meshsim.experiment.engines import Engine
from meshsim.experiment.points import Checked, Job, Watch, chosen, run
from meshsim.experiment.units import Finished, Units
from meshsim.experiment.wanted import Bound, bound
from meshsim.scenario import Scenario

if TYPE_CHECKING:
    from meshsim.analysis.means import Known

#: How close both ends of the answer have to be by default: a hundredth of the range.
RESOLUTION = 0.01
#: Replications of a point at first, and at most.
FIRST, MOST = 3, 24


@dataclass(frozen=True, slots=True)
class Search:
    """A search before it is run, checked.

    Parameters
    ----------
    checked
        The scenario.
    axis
        What varies.
    bound
        What a broken point is.
    deployments
        Each has a breaking point of its own.
    resolution
        How close both ends of the answer are to get, in the field's unit; of a logarithmic range, as a factor less 1.
    first, most
        Replications of a point, at first and at most.
    """

    checked: Checked
    axis: Axis
    bound: Bound
    deployments: tuple[str, ...]
    resolution: float
    first: int
    most: int

    @property
    def confidence(self) -> float:
        """Of each interval: 95 % for a point, divided among the times it is looked at."""
        return 1.0 - 0.05 / len(self.sizes())

    def sizes(self) -> list[int]:
        """Return after how many replications a point is looked at: as many as at first, then twice that, and so on."""
        found = [self.first]
        while found[-1] < self.most:
            found.append(min(2 * found[-1], self.most))
        return found


def search(
    scenario: Scenario,
    vary: str,
    until: str,
    deployments: Sequence[str] = (),
    *,
    resolution: float | None = None,
    replications: int = FIRST,
    most: int = MOST,
) -> Search:
    """Return a search that is ready to run.

    Parameters
    ----------
    scenario
        The base of all points.
    vary
        ``path=low..high`` or ``path=low..high/log``.
    until
        What a broken point is, see `meshsim.experiment.wanted.bound`.
    deployments
        Names of its deployments; all by default.
    resolution
        How close both ends of the answer are to get, in the field's unit; a hundredth of the range by default.
    replications, most
        Of a point, at first and at most.

    Raises
    ------
    ScenarioError
        With everything that is wrong.
    """
    problems: list[Problem] = []
    names: list[str] = []
    checked = Checked(scenario)

    def tried(work: Callable[[], Any]) -> Any:
        found = []
        with gathering(problems):
            found.append(work())
        return found[0] if found else None

    limit = tried(lambda: bound(until, scenario.document))
    axis = tried(lambda: _ranged(designs.axis(vary)))
    if axis is not None:
        axis = checked.with_kinds([axis])[0]
        ends = [(axis.text(end),) for end in (axis.low, axis.high)]
        tried(lambda: list(checked.points([axis], ends)))
    names = (tried(lambda: chosen(scenario, deployments, None)) or ([], 0))[0]
    if replications < 2:
        problems.append(Problem(f"{replications} is too few; without 2 there is no interval", file="--replications"))
    if most < replications:
        problems.append(Problem(f"{most} is below --replications {replications}", file="--max-replications"))
    if resolution is not None and resolution <= 0:
        problems.append(Problem(f"{resolution:g} is not above 0", file="--resolution"))
    if problems:
        raise ScenarioError(problems)
    return Search(
        checked, axis, limit, tuple(names), _close(axis) if resolution is None else resolution, replications, most
    )


def _ranged(one: Axis) -> Axis:
    if one.listed:
        message = f"a breaking point is looked for in a range; write {one.path}=low..high"
        raise ScenarioError([Problem(message, one.path, designs.FILE)])
    if problems := designs.needless_count(one, "which points are looked at follows from what is found"):
        raise ScenarioError(problems)
    return one


def _close(axis: Axis) -> float:
    return RESOLUTION * (math.log(axis.high / axis.low) if axis.log else axis.high - axis.low)


@dataclass
class _Point:
    """What is known of a point of one deployment: its values, and what they are counted among."""

    values: list[float] = field(default_factory=list)
    among: list[float] = field(default_factory=list)
    state: State = State.OPEN
    known: Known | None = None


#: The other side of a break.
_OTHER = {State.FINE: State.BROKEN, State.BROKEN: State.FINE}

#: A search of one deployment asks for states of points, by number, and is sent them.
_Asking = Generator[list[float], dict[float, State], None]


def carry_out(given: Search, by: Engine, store: Units | None = None, watch: Watch | None = None) -> list[Breaking]:
    """Run a search and return where each deployment breaks.

    All points and deployments see the same random draws. It is assumed that a deployment which is broken stays so
    farther on.

    Raises
    ------
    MeshsimError
        If the engine fails; finished units are in the folder.
    """
    known: dict[str, dict[float, _Point]] = {name: {} for name in given.deployments}
    searches = {name: bisect(given.axis, given.resolution) for name in given.deployments}
    asked = {name: next(one) for name, one in searches.items()}
    while asked:
        _decide(given, asked, known, lambda jobs: run(jobs, by, store, watch))
        for name in list(asked):
            try:
                asked[name] = searches[name].send({at: known[name][at].state for at in asked[name]})
            except StopIteration:
                del asked[name]
    return [_breaking(given, name, known[name]) for name in given.deployments]


def _breaking(given: Search, name: str, known: dict[float, _Point]) -> Breaking:
    found = Breaking(name, _looks(given.axis, known))
    if found.fine is None or found.broken is None:
        return found
    low, high = sorted((found.fine.number, found.broken.number))
    return replace(found, close=_near(given.axis, low, high, given.resolution))


def _looks(axis: Axis, points: dict[float, _Point]) -> tuple[Look, ...]:
    found = []
    for at, point in sorted(points.items()):
        of = point.known
        if of is not None:
            own = (of.mean, of.half_width, len(point.values), of.low, of.high, of.same, of.events)
            found.append(Look(axis.text(at), at, point.state, *own, of.requests_needed, of.missing, of.never))
    return tuple(found)


def bisect(axis: Axis, resolution: float) -> _Asking:
    """Ask for the states of points until fine and broken ones are as close as wanted.

    Where points between them stay undecided, it goes on from both sides: the answer is the last that is surely fine and
    the first that is surely broken. An end that stays undecided counts as the other side than the one that does not.

    Examples
    --------
    >>> from meshsim.experiment.designs import axis
    >>> asking, asked = bisect(axis("x=0..8"), 1.0), []
    >>> wanted = next(asking)
    >>> try:
    ...     while True:
    ...         asked += wanted
    ...         wanted = asking.send({at: State.BROKEN if at > 5.5 else State.FINE for at in wanted})
    ... except StopIteration:
    ...     asked
    [0.0, 8.0, 4.0, 6.0, 5.0]
    """
    ends = yield [axis.low, axis.high]
    states = dict(ends)
    low, high = states[axis.low], states[axis.high]
    if low is high and low is not State.OPEN:
        return
    low = _OTHER.get(high, State.OPEN) if low is State.OPEN else low
    high = _OTHER.get(low, State.OPEN) if high is State.OPEN else high
    # From the left: the last point like the low end; from the right: the first like the high end. What was
    # looked at between them is undecided.
    left, right = axis.low, axis.high
    while wanted := _between(axis, states, left, right, resolution):
        found = yield wanted
        states |= found
        for at, state in found.items():
            if state is low and at > left:
                left = at
            elif state is high and at < right:
                right = at


def _between(axis: Axis, states: dict[float, State], left: float, right: float, resolution: float) -> list[float]:
    """Return the points to look at next: in the middle of the gaps beside each side, so far as it is decided."""
    inside = sorted(at for at, state in states.items() if state is State.OPEN and left < at < right)
    gaps = []
    if states[left] is not State.OPEN:
        gaps.append((left, inside[0] if inside else right))
    if states[right] is not State.OPEN:
        gaps.append((inside[-1] if inside else left, right))
    middles = [_middle(axis, gap, resolution) for gap in dict.fromkeys(gaps)]
    return [middle for middle in middles if middle is not None and middle not in states]


def _middle(axis: Axis, gap: tuple[float, float], resolution: float) -> float | None:
    """Return the number in the middle of a gap, None where its ends are close enough."""
    low, high = gap
    middle = math.sqrt(low * high) if axis.log else (low + high) / 2
    step = resolution * (low if axis.log else 1.0)
    if not axis.whole:  # with no more digits than it takes: 2.84 and not 2.84375
        middle = round(middle, 1 - math.floor(math.log10(step)))
    found = designs.number(axis.text(middle))
    middle = middle if found is None else found[0]
    return None if _near(axis, low, high, resolution) or not low < middle < high else middle


def _near(axis: Axis, low: float, high: float, resolution: float) -> bool:
    if axis.whole and high - low <= 1:  # there is nothing between them
        return True
    return (math.log(high / low) if axis.log else high - low) <= resolution * (1 + 1e-9)


def _decide(
    given: Search,
    asked: dict[str, list[float]],
    known: dict[str, dict[float, _Point]],
    compute: Callable[[list[Job]], Iterator[tuple[int, Finished]]],
) -> None:
    """Run replications of points until each is decided or has had as many as it may."""
    open_points = [(name, at) for name, wanted in asked.items() for at in wanted]
    for name, at in open_points:
        known[name].setdefault(at, _Point())
    for size in given.sizes():
        jobs, places = [], []
        for name, at in open_points:
            have = len(known[name][at].values)
            own = given.checked.jobs([given.axis], [(given.axis.text(at),)], [name], range(have, size))
            jobs += own
            places += [(name, at)] * len(own)
        found = {number: given.bound.wanted.value(done.summary) for number, done in compute(jobs)}  # type: ignore[arg-type]
        for number in sorted(found):
            name, at = places[number]
            for into, value in zip((known[name][at].values, known[name][at].among), found[number], strict=True):
                into.append(value)
        for name, at in open_points:
            _judge(known[name][at], given.bound, given.confidence)
        open_points = [(name, at) for name, at in open_points if _undecided(known[name][at])]
        if not open_points:
            return


def _undecided(point: _Point) -> bool:
    """Return whether more replications may decide a point: of percentiles of too few requests they do not."""
    return point.state is State.OPEN and not (point.known is not None and point.known.requests_needed)


def _judge(point: _Point, limit: Bound, confidence: float) -> None:
    """Say what a point is, by the whole interval; of shares near all or nothing by the exact one."""
    from meshsim.analysis.means import known

    point.known = known(limit.wanted.metric, point.values, point.among, confidence)
    low, high = point.known.ends(confidence)
    if math.isnan(low) or point.known.missing > point.known.never:
        return
    ends = {limit.breaks(low), limit.breaks(high)}
    if len(ends) == 1:
        point.state = State.BROKEN if True in ends else State.FINE
