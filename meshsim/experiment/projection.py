"""How long an experiment will take, before it begins: calls by the load curve, at a cost that a short try tells."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshsim.mesh.calls import calls_per_entry
from meshsim.scenario import Scenario
from meshsim.scenario.happenings import happenings
from meshsim.scenario.sampling import Spans, loaded, seconds
from meshsim.scenario.schema import Document, EntryLoad, Sample, TrafficSurge
from meshsim.scenario.selectors import select_clusters

if TYPE_CHECKING:
    from meshsim.engine.simulation import Simulation

#: Seconds that are worth a word, and that the try may take with load and without.
WORTH_A_WORD, TRY, TRY_IDLE = 20.0, 0.4, 0.1
#: Seconds of a call that is dear, of a simulated second without load in a large mesh, and of a call at least.
DEAR, IDLE, CHEAPEST = 6e-6, 5e-4, 3e-7
#: Simulated seconds of load of which the cost does not count: connections open, code and data come into the cache.
OPENING = 2.0
#: Points of a load curve at which its rate is looked at.
POINTS = 2_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run of a scenario costs here and now.

    Parameters
    ----------
    build
        Processor seconds before the first event.
    call
        Processor seconds for each call between services, with everything that belongs to it.
    idle
        Processor seconds for each simulated second without load.
    calls_per_second
        Calls in each simulated second of the try.
    """

    build: float
    call: float
    idle: float
    calls_per_second: float


@dataclass(frozen=True, slots=True)
class Projection:
    """What an experiment will take.

    Parameters
    ----------
    seconds
        In all, on processors that have nothing else to do.
    calls
        Between services, in all.
    runs
        How many.
    at_once
        How many of them run at the same time.
    in_windows
        The same if the load were on around events only; None where it is, or where that would save little.
    """

    seconds: float
    calls: float
    runs: int
    at_once: int
    in_windows: float | None = None


def expected_calls(document: Document) -> float:
    """Return how many calls between services open load makes in a run if everything answers, with phases and surges.

    Retries and mirrored requests come on top. Of closed load nothing is known before it runs; it counts as none.

    Parameters
    ----------
    document
        The scenario.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> expected_calls(Document.model_validate({**EXAMPLE, "duration": "10m"}))
    6000.0
    """
    spans = loaded(document) or ((0.0, document.duration),)
    each = calls_per_entry(document)
    return sum(
        (load.rate or 0.0) * document.load.scale * load.requests_per_action * sum(each[entry].values())
        * _loaded_seconds(document, load, spans)
        for entry, load in document.load.entries.items()
    )  # fmt: skip


def _loaded_seconds(document: Document, load: EntryLoad, spans: Spans) -> float:
    """Return the integral of the factors of an entry's rate over the time that load is on."""
    from meshsim.engine.load import factor

    surges = list(_surges(document, load))
    if not load.phases and not surges:
        return sum(end - start for start, end in spans)
    width = document.duration / POINTS
    total = 0.0
    for number in range(POINTS):
        start = number * width
        if on := seconds(spans, start, start + width):
            surged = math.prod(1.0 + more * seconds((span,), start, start + width) / width for more, span in surges)
            total += on * surged * math.prod(factor(phase, start + width / 2) for phase in load.phases)
    return total


def _surges(document: Document, load: EntryLoad) -> Iterator[tuple[float, tuple[float, float]]]:
    """Yield by which part of itself an entry's load grows, and from when to when."""
    from meshsim.engine.load import shares

    entering = shares(load, list(document.clusters))
    for one in happenings(document):
        if isinstance(one.event, TrafficSurge) and one.end is not None:
            hit = select_clusters(document, one.event.target)
            share = sum(part for cluster, part in entering.items() if cluster in hit)
            yield (one.event.factor - 1.0) * share, (one.start, one.end)


def project(
    scenario: Scenario,
    deployment: str,
    runs: int,
    *,
    at_once: int = 1,
    points: Sequence[Document] = (),
    least: float = WORTH_A_WORD,
) -> Projection | None:
    """Return what an experiment will take; None where that is less than ``least`` seconds.

    The first seconds of a run tell what a call costs in this mesh on this machine. They are spent only where there are
    so many calls that it might take long.

    Parameters
    ----------
    scenario
        What will run.
    deployment
        The deployment that is tried.
    runs
        How many runs there will be.
    at_once
        Runs that are computed at the same time.
    points
        Scenarios that stand for all points of a sweep; the scenario itself by default.
    least
        Seconds that are worth a word.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> project(load(EXAMPLE), "hybrid", 3) is None
    True
    """
    documents = list(points) or [scenario.document]
    at_once = min(max(at_once, 1), max(runs, 1))
    rounds = math.ceil(runs / at_once)
    if not any(_may_take(document, rounds, least) for document in documents):
        return None
    cost = try_out(scenario, deployment)
    calls = sum(_calls(document, cost) for document in documents) / len(documents)
    whole = rounds * sum(_run(document, cost) for document in documents) / len(documents)
    if whole < least:
        return None
    return Projection(whole, runs * calls, runs, at_once, _in_windows(documents, cost, rounds, whole))


def _may_take(document: Document, rounds: int, least: float) -> bool:
    """Return whether it would take as long as ``least`` if calls were dear; of closed load nothing is known."""
    closed = any(load.arrivals == "closed" for load in document.load.entries.values())
    return (
        rounds * expected_calls(document) * DEAR >= least
        or rounds * document.duration * IDLE >= least
        or (closed and rounds * document.duration >= least)
    )


def _calls(document: Document, cost: Cost) -> float:
    """Return how many calls a run makes: of open load by its curve, of closed load as many a second as were tried."""
    if any(load.arrivals == "closed" for load in document.load.entries.values()):
        return cost.calls_per_second * document.duration
    return expected_calls(document)


def _run(document: Document, cost: Cost) -> float:
    return cost.build + cost.call * _calls(document, cost) + cost.idle * document.duration


def _in_windows(documents: Sequence[Document], cost: Cost, rounds: int, whole: float) -> float | None:
    """Return what it would take with load around the events only; None where that is not much less."""
    if any(document.sample is not None or not document.timeline for document in documents):
        return None
    sampled = [document.model_copy(update={"sample": Sample()}) for document in documents]
    found = rounds * sum(_run(document, cost) for document in sampled) / len(sampled)
    return found if found < whole / 3 else None


def try_out(scenario: Scenario, deployment: str) -> Cost:
    """Return what a run costs on this machine, from the first seconds of one.

    Time is that of the processor, which does not depend on what else the machine does just now.

    Parameters
    ----------
    scenario
        What will run.
    deployment
        Under which deployment.
    """
    from meshsim.engine.simulation import Simulation

    began = time.process_time()
    simulation = Simulation(scenario, deployment)
    build = time.process_time() - began
    simulation.load.turn_on()
    calm = _calm(scenario.document)
    _advance(simulation, min(OPENING, calm / 4), TRY)
    call, calls_per_second = _loaded_cost(simulation, 0.75 * calm)
    simulation.load.turn_off()
    return Cost(build, call, _idle_cost(simulation, calm), calls_per_second)


def _calm(document: Document) -> float:
    """Return until when nothing happens, seconds."""
    return min([document.duration, *(one.start for one in happenings(document) if one.start > OPENING)])


def _advance(simulation: Simulation, until: float, budget: float) -> tuple[float, int, float]:
    """Simulate up to a time, but for no longer than a budget; return seconds, calls and processor seconds."""
    clock, env = simulation.mesh.plane.world.clock[0], simulation.env
    at, calls, began = env.now, int(clock.calls_ended), time.process_time()
    step = max((until - at) / 1_000, 0.02)
    while env.now < until and time.process_time() - began < budget:
        env.run(until=min(env.now + step, until))
        step *= 1.3
    return env.now - at, int(clock.calls_ended) - calls, time.process_time() - began


def _loaded_cost(simulation: Simulation, end: float) -> tuple[float, float]:
    """Return what a call costs, the median of three tries, and how many there are in a simulated second."""
    tried = []
    for left in (3, 2, 1):
        until = simulation.env.now + (end - simulation.env.now) / left
        tried.append(_advance(simulation, until, TRY / 3))
    costs = sorted(spent / calls for _, calls, spent in tried if calls)
    lasted, calls = (sum(one[place] for one in tried) for place in (0, 1))
    return (costs[len(costs) // 2] if costs else CHEAPEST), (calls / lasted if lasted else 0.0)


def _idle_cost(simulation: Simulation, end: float) -> float:
    """Return what a simulated second costs without load, once nothing is under way any more."""
    _advance(simulation, min(simulation.env.now + 5.0, (simulation.env.now + end) / 2), TRY_IDLE)
    lasted, _, spent = _advance(simulation, end, TRY_IDLE)
    return spent / lasted if lasted else 0.0
