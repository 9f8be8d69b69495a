"""Spans: where the time of a few traced requests went, call by call and computation by computation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshsim.dataplane import flags, trace
from meshsim.dataplane.plane import DataPlane
from meshsim.dataplane.state import NO_FLAG, NONE, RECORDS
from meshsim.scenario.fields import mean_of
from meshsim.scenario.requests import INGRESS
from meshsim.scenario.sampling import loaded
from meshsim.scenario.schema import Document
from meshsim.scenario.schema_load import EntryLoad

#: User requests that are traced in a run, about; those that are kept at most, and the lines of the trace behind them.
ABOUT, MOST, MOST_LINES = 300, 600, 200_000
#: A user's request takes this long (seconds) where nothing else is known.
_GUESS = 0.1
#: Marks in the life of a call's last attempt, in order; behind each of them one of `PARTS` begins.
_MARKS = (
    trace.SENT, trace.AT_GATEWAY, trace.LEFT_GATEWAY, trace.AT_SERVER, trace.AT_POD, trace.ANSWERED, trace.LOST,
)  # fmt: skip
#: Parts of a call in the order in which they follow one another, as columns of the table.
PARTS = (
    "injected", "retries", "client_sidecar", "connection", "link_there", "gateway", "link_on", "server_sidecar",
    "inside", "link_back", "lost",
)  # fmt: skip
_HASH = np.uint64(0x9E3779B97F4A7C15)


def part_of(document: Document) -> float:
    """Return the part of the users' requests to trace, so that about `ABOUT` are.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> load = {"web": {"rate": "100/s"}}
    >>> part_of(Document.model_validate({**EXAMPLE, "load": load, "duration": "5m"}))
    0.01
    """
    on = loaded(document)
    seconds = document.duration if on is None else sum(end - start for start, end in on)
    expected = seconds * sum(_rate(load, document.load.scale) for load in document.load.entries.values())
    return min(1.0, ABOUT / expected) if expected > 0 else 1.0


def _rate(load: EntryLoad, scale: float) -> float:
    """Return how many user requests a second are to be expected."""
    each = load.requests_per_action
    if load.users is None:
        return (load.rate or 0.0) * scale * each
    think = mean_of(load.think_time) if load.think_time is not None else 0.0
    return load.users * each / (think + each * _GUESS)


class Spans:
    """Keeps the trace of some user requests of a run, and makes the table ``spans`` of it.

    Parameters
    ----------
    plane
        Whose trace it is.
    clusters
        Names behind the data plane's numbers.
    """

    def __init__(self, plane: DataPlane, clusters: Sequence[str]) -> None:
        self._plane = plane
        self._clusters = clusters
        self._kept: list[NDArray[Any]] = []
        self._users = self._lines = self._halved = 0

    def add(self, lines: Any) -> None:
        """Keep the lines of requests; where they become too many, those of every other request are dropped."""
        lines = lines.view(np.ndarray)
        own = (lines["request"] != 0) & (lines["kind"] != trace.CONNECTED) & (lines["kind"] != trace.NOT_CONNECTED)
        self._keep([self._thinned(lines[own])])
        while self._halved < 32 and (self._users > MOST or self._lines > MOST_LINES):
            self._halved += 1
            kept, self._kept, self._users, self._lines = self._kept, [], 0, 0
            self._keep([self._thinned(part) for part in kept])

    def _keep(self, parts: list[NDArray[Any]]) -> None:
        self._kept += [part for part in parts if len(part)]
        self._users += sum(int(np.sum((part["kind"] == trace.CALL_BEGAN) & (part["inside"] == 0))) for part in parts)
        self._lines += sum(map(len, parts))

    def _thinned(self, lines: NDArray[Any]) -> NDArray[Any]:
        mask = np.uint64((1 << self._halved) - 1)
        kept: NDArray[Any] = lines[(lines["request"] * _HASH >> np.uint64(32)) & mask == 0]
        return kept

    def columns(self, now: float) -> dict[str, Any]:
        """Return the table's columns for the requests that ended, one request after the other.

        Parameters
        ----------
        now
            The end of the run, seconds; calls that nobody waited for may not have ended then.
        """
        lines = np.concatenate([*self._kept, np.zeros(0, RECORDS["trace"])])
        calls = _Calls(lines, now)
        user, number, parent, row, waited = np.array(_numbered(calls), dtype=np.int64).reshape(-1, 5).T
        call = calls.of[row]
        own = call != NONE
        told = lines[np.where(own, calls.told[call], row)] if calls.count else lines
        began = np.where(own, calls.marks[0, call], calls.asked[row]) if calls.count else np.zeros(0)
        ended = np.where(own, calls.marks[-1, call], told["until"]) if calls.count else np.zeros(0)
        parts = np.where(own, calls.parts[:, call], 0.0) if calls.count else np.zeros((len(PARTS), 0))
        return {
            "trace": user,
            "request_id": [f"{request:016x}" for request in told["request"].tolist()],
            "number": number,
            "parent": parent,
            "kind": [("computation", "call")[which] for which in own.tolist()],
            "waited": waited,
            **self._ends(told, own),
            "attempts": np.where(own, told["attempt"], 0),
            "began": began,
            "ended": ended,
            **dict(zip(PARTS, parts, strict=True)),
            "queue": np.where(own, 0.0, told["time"] - began),
            "computing": np.where(own, 0.0, ended - told["time"]),
            "code": np.where(own, told["code"], 0),
            "response_flag": _flags(np.where(own, told["flag"], NO_FLAG)),
        }

    def _ends(self, told: NDArray[Any], own: NDArray[np.bool_]) -> dict[str, list[str]]:
        """Return between whom spans are; those that are not ``own`` are computations, of a pod."""
        world = self._plane.world
        proxies, pods = world.proxies.view(np.ndarray), world.pods.view(np.ndarray)
        proxy, host, operation = np.where(own, told["proxy"], 0), told["host"], np.where(own, told["operation"], NONE)
        policies = world.upstreams.view(np.ndarray)["policy"][np.where(own, told["upstream"], 0)]
        called = np.where(
            operation != NONE,
            world.operations.view(np.ndarray)["service"][operation],
            world.policies.view(np.ndarray)["service"][policies],
        )
        services, clusters = [*self._plane.plan.services, INGRESS], [*self._clusters, ""]  # -1 is the last
        serving, there = pods["service"][host], np.where(host != NONE, pods["cluster"][host], NONE)
        found = {
            "source": (services, np.where(own, proxies["service"][proxy], serving)),
            "destination": (services, np.where(own, called, serving)),
            "source_cluster": (clusters, np.where(own, proxies["cluster"][proxy], there)),
            "destination_cluster": (clusters, there),
        }
        return {name: [names[at] for at in numbers.tolist()] for name, (names, numbers) in found.items()}


def _flags(found: NDArray[Any]) -> list[str]:
    names = {flag: flags.names(flag) for flag in np.unique(found).tolist()}
    return [names[flag] for flag in found.tolist()]


class _Calls:
    """The calls that lines are of: ``of`` each line (none for computations), with their marks and parts by call."""

    def __init__(self, lines: NDArray[Any], now: float) -> None:
        self.lines = lines
        self.of = np.full(len(lines), NONE)
        kinds = lines["kind"]
        self._own = np.flatnonzero((kinds != trace.QUEUED) & (kinds != trace.COMPUTING))
        keys = (lines["path"] ^ lines["request"] * _HASH)[self._own]  # both are hashes: no two calls have the same
        found, inverse = np.unique(keys, return_inverse=True)
        self.of[self._own] = inverse.reshape(-1)
        self.count = len(found)
        self.told = np.zeros(self.count, dtype=np.int64)  # the line that says most of a call
        for kind in (trace.CALL_BEGAN, trace.CALL_ENDED):
            rows = np.flatnonzero(kinds == kind)
            self.told[self.of[rows]] = rows
        self.ended = np.isin(np.arange(self.count), self.of[kinds == trace.CALL_ENDED])
        self.last = np.zeros(self.count, dtype=np.int64)  # number of the last attempt that was not given up
        self.marks = self._marks(now)
        self.parts = np.diff(self.marks, axis=0)
        self.asked = self._asked()

    def _at(self, kind: int, field: str = "time", *, last: bool = True) -> NDArray[np.float64]:
        """Return when each call had a line of this kind last (in its last attempt only), or first; nan for never."""
        rows = np.flatnonzero(self.lines["kind"] == kind)
        if last:
            rows = rows[self.lines["attempt"][rows] == self.last[self.of[rows]]]
        rows = rows if last else rows[::-1]
        when = np.full(self.count, np.nan)
        when[self.of[rows]] = self.lines[field][rows]
        return when

    def _marks(self, now: float) -> NDArray[np.float64]:
        """Return when each part of a call began, and when the last ended; a part that was not reached has no length."""
        lines = self.lines
        attempts = np.flatnonzero(lines["kind"] == trace.ATTEMPT_BEGAN)
        np.maximum.at(self.last, self.of[attempts], lines["attempt"][attempts])
        ended = self._at(trace.CALL_ENDED, last=False)
        ended[np.isnan(ended)] = now
        marks = [self._at(trace.CALL_BEGAN, last=False), self._at(trace.ATTEMPT_BEGAN, last=False)]
        paused = ~np.isnan(self._at(trace.BACKED_OFF))  # the call ended in the pause after its last attempt
        behind = [self._at(trace.ATTEMPT_BEGAN), self._at(trace.ATTEMPT_BEGAN, "until")]
        behind += [self._at(kind) for kind in _MARKS]
        behind[-1][~self._is_lost()] = np.nan
        for mark in behind:
            mark[paused] = np.nan
        self.last[paused] = NONE
        # What was not reached begins when the next does; and nothing goes on when the call has ended.
        return np.fmin.accumulate(np.stack([*marks, *behind, ended])[::-1], axis=0)[::-1]

    def _is_lost(self) -> NDArray[np.bool_]:
        """Return which calls have a message that got lost and was never heard of again."""
        rows = np.flatnonzero(np.isin(self.lines["kind"], _MARKS))
        latest = np.full(self.count, NONE)
        latest[self.of[rows]] = self.lines["kind"][rows]
        lost: NDArray[np.bool_] = latest == trace.LOST
        return lost

    def _asked(self) -> NDArray[np.float64]:
        """Return since when the computation of a line had been asked for: where it had to queue, before it began."""
        lines = self.lines
        asked = lines["time"].copy()
        rows = np.flatnonzero((lines["kind"] == trace.QUEUED) | (lines["kind"] == trace.COMPUTING))
        own = lines[rows]
        keys = zip(*(own[name].tolist() for name in ("call", "request", "inside")), strict=True)
        waiting: dict[tuple[int, ...], float] = {}
        for row, key, kind, time in zip(rows.tolist(), keys, own["kind"].tolist(), own["time"].tolist(), strict=True):
            if kind == trace.QUEUED:
                waiting[key] = time
            elif key in waiting:
                asked[row] = waiting.pop(key)
        return asked


def _numbered(calls: _Calls) -> list[tuple[int, int, int, int, int]]:
    """Return (user request, number, number of the parent, line, whether the parent waits) of each span, in order.

    What hangs in the air is left out: copies that were mirrored, and what is done for a caller that is gone.
    """
    serves: dict[tuple[int, int], tuple[int, int]] = {}
    places: dict[int, tuple[int, int]] = {}  # of a call: its user's request and number
    sizes: list[int] = []
    found = []
    chosen = np.flatnonzero(np.isin(calls.lines["kind"], (trace.CALL_BEGAN, trace.AT_POD, trace.COMPUTING)))
    own = calls.lines[chosen]
    ended, last = calls.ended.tolist(), calls.last.tolist()
    fields = [own[name].tolist() for name in ("kind", "request", "inside", "attempt", "code")]
    for row, call, kind, request, inside, attempt, code in zip(
        chosen.tolist(), calls.of[chosen].tolist(), *fields, strict=True
    ):
        if kind == trace.AT_POD:
            serves[request, inside] = (call, attempt)
            continue
        if inside == 0:
            if not ended[call]:
                continue
            user, parent, waited = len(sizes), NONE, 1
            sizes.append(0)
        else:
            above, number = serves.get((request, inside), (NONE, 0))
            if above not in places:
                continue
            user, parent = places[above]
            waited = int(number == last[above] and (call == NONE or code == 1))
        if call != NONE:
            places[call] = (user, sizes[user])
        found.append((user, sizes[user], parent, row, waited))
        sizes[user] += 1
    return sorted(found)
