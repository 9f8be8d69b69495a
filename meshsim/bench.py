"""Calls per second of the simulator, beside an idiomatic SimPy model and a bare compiled loop of the same chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from meshsim.scenario import Scenario, load

#: Rounds: all candidates are measured once a round, one after the other, and compared within it.
ROUNDS = 3
REFERENCE = "online-boutique"

#: The three-tier chain: eight single-worker pods a tier, 70 % busy, 1 ms links, sidecars everywhere. A proxy takes as
#: long as it occupies its worker here, as in the yardsticks.
CHAIN = ("three-tier", ["sidecar.latency=200us", "ingress.one.latency=200us", "duration=600s", "warm_up=0s"])


@dataclass(frozen=True, slots=True)
class Measured:
    """One candidate: requests and calls per second of wall time (median of rounds), and its mean latency in seconds."""

    name: str
    what: str
    requests: float
    calls: float
    latency: float
    rounds: tuple[float, ...]


def run(say: Callable[[str], None] | None = None) -> dict[str, Measured]:
    """Measure every candidate in turn, several rounds, and return them by name.

    The first two are the simulator on the reference mesh (steady Online Boutique, three clusters) and on the
    three-tier chain; the others are yardsticks for the chain.
    """
    from meshsim.dataplane import yardstick
    from meshsim.engine.yardstick import Chain
    from meshsim.engine.yardstick import simulate as idiomatic

    bare_loop: Callable[..., tuple[int, float]] = yardstick.simulate
    chain = Chain()
    figures = (chain.tiers, chain.pods, chain.demand, chain.link, chain.sidecar, chain.workers, chain.rate)
    bare_loop(*figures, 0.1, 1)
    mesh, tiers = load(REFERENCE, ["duration=600s", "warm_up=0s"]), load(*CHAIN)
    candidates: dict[str, tuple[str, Callable[[], tuple[int, int, float]]]] = {
        "mesh": (f"meshsim, {REFERENCE}: 3 clusters, sidecars, LEAST_REQUEST, steady", lambda: _simulated(mesh)),
        "chain": ("meshsim, three-tier chain through sidecars", lambda: _simulated(tiers)),
        "simpy": ("SimPy as usually written, same chain", lambda: _chain(idiomatic(chain, 30.0))),
        "loop": ("bare compiled loop, same chain", lambda: _chain(bare_loop(*figures, 600.0, 1))),
    }
    rounds: dict[str, list[tuple[float, float, float]]] = {name: [] for name in candidates}
    for number in range(ROUNDS):
        for name, (what, work) in candidates.items():
            if say is not None:
                say(f"round {number + 1} of {ROUNDS}: {what}")
            began = time.perf_counter()
            requests, calls, latency = work()
            spent = time.perf_counter() - began
            rounds[name].append((requests / spent, calls / spent, latency))
    return {name: _median(name, what, rounds[name]) for name, (what, _) in candidates.items()}


def _median(name: str, what: str, rounds: list[tuple[float, float, float]]) -> Measured:
    requests, calls, latency = (median(column) for column in zip(*rounds, strict=True))
    return Measured(name, what, requests, calls, latency, tuple(figures[0] for figures in rounds))


def _simulated(scenario: Scenario) -> tuple[int, int, float]:
    from meshsim.engine.prepared import prepare
    from meshsim.experiment import Unit, run_unit

    ended, latency, calls = answer(run_unit(prepare(scenario), Unit("multi-primary", 0)))
    return ended, calls, latency


def answer(tables: Mapping[str, Any]) -> tuple[int, float, int]:
    """Return of a run's tables: requests that ended, their mean latency in seconds, and calls that ended.

    Examples
    --------
    >>> answer({"requests": {"count": [3, 1], "latency_sum": [0.2, 0.2]}, "calls": {"count": [12]}})
    (4, 0.1, 12)
    """
    ended = int(sum(tables["requests"]["count"]))
    return ended, float(sum(tables["requests"]["latency_sum"])) / max(ended, 1), int(sum(tables["calls"]["count"]))


def _chain(result: tuple[int, float]) -> tuple[int, int, float]:
    ended, latency = result
    return ended, 3 * ended, latency


def ratios(measured: Mapping[str, Measured]) -> list[tuple[str, float, str]]:
    """Return what is compared, the ratio (median over rounds of ratios within a round), and what is wanted."""

    def within(a: str, b: str) -> float:
        return median(x / y for x, y in zip(measured[a].rounds, measured[b].rounds, strict=True))

    return [
        ("chain: meshsim / idiomatic SimPy, requests per second", within("chain", "simpy"), "25 or more"),
        ("chain: meshsim / bare compiled loop, requests per second", within("chain", "loop"), "0.25 or more"),
        ("meshsim: mesh / chain, calls per second", measured["mesh"].calls / measured["chain"].calls, "0.5 or more"),
    ]


def table(measured: Mapping[str, Measured]) -> str:
    """Return the figures as text."""
    width = max(len(one.what) for one in measured.values())
    lines = [f"{'':<{width}}  {'requests/s':>12}  {'calls/s':>12}  {'mean latency':>12}"]
    lines += [
        f"{one.what:<{width}}  {one.requests:>12,.0f}  {one.calls:>12,.0f}  {1e3 * one.latency:>9.1f} ms"
        for one in measured.values()
    ]
    lines += ["", *(f"{what}: {ratio:.2f} (wanted: {wanted})" for what, ratio, wanted in ratios(measured))]
    lines.append(f"Medians of {ROUNDS} rounds, one process, one after the other; compare ratios, not machines.")
    return "\n".join(lines)


def to_json(measured: Mapping[str, Measured]) -> dict[str, Any]:
    """Return the figures as data: candidates with rates per second and latency in seconds, and the ratios."""
    return {
        "candidates": [
            {
                "name": m.name,
                "what": m.what,
                "requests_per_second": m.requests,
                "calls_per_second": m.calls,
                "latency": m.latency,
            }
            for m in measured.values()
        ],
        "ratios": [{"what": what, "ratio": ratio, "wanted": wanted} for what, ratio, wanted in ratios(measured)],
    }
