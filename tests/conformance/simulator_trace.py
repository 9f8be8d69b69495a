"""From the data plane's trace to a recording: what clients saw, what reached endpoints, who was ejected."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from meshsim.dataplane import state, trace
from meshsim.dataplane.flags import NAMES
from tests.conformance.records import FAILED, GAVE_UP, Attempt, Ejection, Recording, Request

if TYPE_CHECKING:
    from tests.conformance.simulator_arm import Run

#: What a client, a proxy on loopback and an upstream add to the latency of a request, and a gateway on top, seconds.
OVERHEAD, GATEWAY_OVERHEAD = 0.001, 0.001
#: Envoy notices so many gateway errors in a row even where it does not act on them.
NOTICED = 5
_NUMBER = 0xFFFFFFFF
_GATEWAY_ERRORS = range(502, 505)


def read(run: Run, patience: float) -> Recording:
    """Read all of a run's trace."""
    lines = run.plane.take_trace()
    clients = {proxy for proxy, _ in run.clients}
    pods = {pod: index for index, pod in enumerate(run.pods)}
    attempts = list(_attempts(lines, pods, run.start))
    requests = _requests(lines, clients, run, patience)
    found = Recording(run.seed, requests, sorted(attempts, key=lambda each: each.start))
    found.ejections = sorted(_Ejections(lines, clients, pods, run).events(), key=lambda event: event.time)
    found.connections = _connections(lines, pods)
    found.counters = _counters(requests, run)
    _serve_times(found, run)
    return found


def _requests(lines: Any, clients: set[int], run: Run, patience: float) -> list[Request]:
    overhead = OVERHEAD + (GATEWAY_OVERHEAD if run.point.gateway.get("mode") else 0.0)
    requests = [
        Request(number, due, due, due + patience, GAVE_UP, ("DC",), key=run.key(number))
        for number, due in enumerate(run.drawn.times.tolist())
    ]
    for line in lines[lines["kind"] == trace.CALL_ENDED]:
        if int(line["proxy"]) not in clients:
            continue
        request = requests[int(line["request"]) & _NUMBER]
        done = float(line["time"]) - run.start + overhead
        if done > request.due + patience:
            continue
        request.done, request.status, request.attempts = done, int(line["code"]), int(line["attempt"])
        request.flags = flags(int(line["flag"]))
    return requests


def flags(number: int) -> tuple[str, ...]:
    """Return the names of response flags."""
    named = [name for bit, name in ((state.DI, "DI"), (state.URX, "URX"), (state.RETRY_OVERFLOW, "UO")) if number & bit]
    base = NAMES[number & state.FLAG]
    return (*named, base) if base else tuple(named)


def _attempts(lines: Any, pods: dict[int, int], start: float) -> Iterator[Attempt]:
    """Pair arrivals at endpoints with the ends of the same attempts; one without an end lasts for ever."""
    open_: dict[tuple[int, int, int], Attempt] = {}
    for line in lines[(lines["kind"] == trace.AT_POD) | (lines["kind"] == trace.ATTEMPT_ENDED)]:
        number, nth = int(line["request"]) & _NUMBER, int(line["attempt"])
        key, time = (number, int(line["call"]), nth), float(line["time"]) - start + OVERHEAD * (nth - 1)
        if line["kind"] == trace.AT_POD and int(line["host"]) in pods:
            open_[key] = Attempt(number, nth, pods[int(line["host"])], time, float("inf"), GAVE_UP)
            yield open_[key]
        elif line["kind"] == trace.ATTEMPT_ENDED and key in open_:
            attempt = open_.pop(key)
            attempt.end = time
            attempt.status = FAILED if int(line["flag"]) & state.FLAG else int(line["code"])


def _serve_times(found: Recording, run: Run) -> None:
    work = run.drawn.work
    for attempt in found.attempts:
        endpoint = run.point.endpoints[attempt.endpoint]
        if attempt.status > 0 or not endpoint.reset:
            attempt.service = endpoint.service * float(work[attempt.request])


def _connections(lines: Any, pods: dict[int, int]) -> dict[int, int]:
    """Count connections that endpoints accepted; one through a gateway counts where its first request arrived."""
    counted: dict[int, int] = {}
    passing: set[int] = set()
    for line in lines[(lines["kind"] == trace.CONNECTED) | (lines["kind"] == trace.AT_POD)]:
        host, connection = int(line["host"]), int(line["connection"])
        if line["kind"] == trace.CONNECTED and host < 0:
            passing.add(connection)
        elif host in pods and (line["kind"] == trace.CONNECTED or connection in passing):
            passing.discard(connection)
            counted[pods[host]] = counted.get(pods[host], 0) + 1
    return counted


def _counters(requests: Sequence[Request], run: Run) -> dict[str, float]:
    overflow = sum("UO" in request.flags and request.attempts > 0 for request in requests)
    found: dict[str, float] = {
        "upstream_rq_retry": sum(max(request.attempts - 1, 0) for request in requests),
        "upstream_rq_retry_overflow": overflow,
    }
    world = run.plane.world
    if any(level.panic for level in world.priorities[:, run.upstream]):
        found["lb_healthy_panic"] = len(requests)
    return {name: value for name, value in found.items() if value}


class _Ejections:
    """Names the detectors behind ejections, and what Envoy would have noticed without acting on it."""

    def __init__(self, lines: Any, clients: set[int], pods: dict[int, int], run: Run) -> None:
        kinds = (trace.EJECTED, trace.RETURNED, trace.ATTEMPT_ENDED)
        chosen = [kind in kinds for kind in lines["kind"]]
        self.lines = [line for line in lines[chosen] if int(line["proxy"]) in clients]
        self.pods, self.start = pods, run.start
        self.policy = run.plane.world.policies[run.plane.world.upstreams[run.upstream].policy]
        self.raw = (run.point.policy.get("cluster") or {}).get("outlier_detection") or {}

    def events(self) -> Iterator[Ejection]:
        """Return every event, in the order of the trace but for what tripped an ejection."""
        counts: dict[int, list[int]] = {}  # errors, gateway errors and local errors in a row by host
        out: set[int] = set()
        for at, line in enumerate(self.lines):
            host, time = int(line["host"]), float(line["time"]) - self.start
            seen = counts.setdefault(host, [0, 0, 0])
            if line["kind"] == trace.ATTEMPT_ENDED:
                self._count(seen, line)
                if self._noticed(seen) and host not in out and not self._ejects_now(at, host):
                    yield Ejection(
                        time, self._name(host), eject=True, kind="CONSECUTIVE_GATEWAY_FAILURE", enforced=False
                    )
                    seen[1] = 0
            elif line["kind"] == trace.EJECTED:
                out.add(host)
                self._count_tripping(at, host, seen)
                if self._noticed(seen):
                    yield Ejection(
                        time, self._name(host), eject=True, kind="CONSECUTIVE_GATEWAY_FAILURE", enforced=False
                    )
                kind = self._kind(seen)
                yield Ejection(round(time, 3), self._name(host), True, kind, info=self._rates(at, host, kind))
            else:
                out.discard(host)
                counts[host] = [0, 0, 0]
                yield Ejection(round(time, 3), self._name(host), eject=False)

    def _name(self, host: int) -> str:
        return f"e{self.pods[host]}" if host in self.pods else "gw"

    def _ejects_now(self, at: int, host: int) -> bool:
        """Tell whether the line before was the ejection that this attempt tripped."""
        before = self.lines[at - 1] if at else None
        return before is not None and int(before["host"]) == host and before["kind"] == trace.EJECTED

    def _count_tripping(self, at: int, host: int, seen: list[int]) -> None:
        """Count the attempt that tripped an ejection, which the trace tells of afterwards."""
        if at + 1 < len(self.lines):
            after = self.lines[at + 1]
            same = int(after["host"]) == host and after["kind"] == trace.ATTEMPT_ENDED
            if same and after["time"] == self.lines[at]["time"]:
                self._count(seen, after)

    def _count(self, seen: list[int], line: Any) -> None:
        code, flag = int(line["code"]), int(line["flag"]) & state.FLAG
        local = flag in {state.UF, state.UC, state.UT}
        if local and self.policy.split_local:
            seen[2] += 1
            return
        seen[2] = 0
        seen[0] = seen[0] + 1 if code >= 500 else 0
        seen[1] = seen[1] + 1 if code in _GATEWAY_ERRORS else 0

    def _noticed(self, seen: Sequence[int]) -> bool:
        raw = self.raw
        looks_on = raw.get("enforcing_consecutive_gateway_failure", 0) == 0
        return bool(raw) and looks_on and seen[1] == raw.get("consecutive_gateway_failure", NOTICED)

    def _rates(self, at: int, host: int, kind: str) -> dict[str, float]:
        """Return what the detectors of rates saw since the last tick: whole percents, cut off."""
        if kind not in {"SUCCESS_RATE", "FAILURE_PERCENTAGE"}:
            return {}
        now = self.lines[at]["time"]
        answers: dict[int, list[bool]] = {}
        for line in self.lines[:at]:
            if line["kind"] == trace.ATTEMPT_ENDED and line["time"] > now - self.policy.interval:
                answers.setdefault(int(line["host"]), []).append(int(line["code"]) < 500)
        rates = {each: 100.0 * sum(given) / len(given) for each, given in answers.items()}
        found: dict[str, float] = {"host_success_rate": int(rates.get(host, 0.0))}
        if kind == "SUCCESS_RATE":
            mean, spread = statistics.fmean(rates.values()), statistics.pstdev(rates.values())
            found["cluster_average_success_rate"] = int(mean)
            found["cluster_success_rate_ejection_threshold"] = int(mean - self.policy.success_deviations * spread)
        return found

    def _kind(self, seen: Sequence[int]) -> str:
        policy = self.policy
        if policy.split_local and policy.local_errors and seen[2] >= policy.local_errors:
            return "CONSECUTIVE_LOCAL_ORIGIN_FAILURE"
        if policy.gateway_errors and seen[1] >= policy.gateway_errors:
            return "CONSECUTIVE_GATEWAY_FAILURE"
        if policy.errors and seen[0] >= policy.errors:
            return "CONSECUTIVE_5XX"
        return "SUCCESS_RATE" if policy.success_rate else "FAILURE_PERCENTAGE"
