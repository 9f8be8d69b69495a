"""Lints about retries, timeouts and injected faults."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.lint.facts import Facts, Flow, title, warned
from meshsim.lint.registry import Found, listed, rule
from meshsim.scenario.istio.policy import DEFAULT_CONDITIONS
from meshsim.scenario.istio.resolve import DEFAULT
from meshsim.scenario.istio.routes import Route
from meshsim.scenario.istio.versions import profile

#: Conditions that take a 503 answer, and those that take a try that took too long (retry_state_impl.cc).
_TAKE_503 = {"5xx", "gateway-error"}
_TAKE_TIMEOUTS = {"5xx", "gateway-error", "reset"}

#: Tries of one request at the end of a chain of calls from which on amplification is told.
_MANY_TRIES = 16


def _set(route: Route, name: str) -> str:
    """Return where a part of a route is set; empty where it is Istio's default."""
    source = route.sources.get(name, DEFAULT)
    return "" if source in {DEFAULT, "TCP"} else source


def _retried(facts: Facts) -> Iterator[tuple[Flow, str]]:
    """Yield requests for which somebody asks for retries, and where."""
    for flow in facts.flows:
        source = _set(flow.route, "retry.attempts")
        if source and flow.route.retry.attempts > 0 and flow.route.destinations:
            yield flow, source


def _takes_503(route: Route) -> bool:
    return bool(_TAKE_503 & set(route.retry.conditions)) or 503 in route.retry.status_codes


def _ends(flow: Flow) -> str:
    names = [title((to.service, to.subset)) for to, _ in flow.route.destinations if to.service]
    return listed(names or [flow.request.service])


def _http(facts: Facts, flow: Flow) -> bool:
    """Tell whether failures come as HTTP codes; gRPC's come as a status, which the default conditions take."""
    return any(facts.service(to.service).protocol != "grpc" for to, _ in flow.route.destinations if to.service)


@rule(
    "MS301",
    "Retries with attempts alone do not retry a 503 answer.",
    spec="3.3",
    fix="write retryOn, for example 5xx or gateway-error, where it is safe to send a request twice",
)
def never_retries_503(facts: Facts) -> Iterator[Found]:
    """Since 1.24 Istio's default conditions come with an empty list of status codes."""
    if profile(facts.version).retry_503:
        return
    for flow, source in _retried(facts):
        retry = flow.route.retry
        if not _takes_503(flow.route) and not _set(flow.route, "retry.conditions") and _http(facts, flow):
            yield (
                source,
                (
                    f"retries (attempts {retry.attempts}) of {_ends(flow)} never fire for a 503 answer: "
                    f"without retryOn they take only {', '.join(DEFAULT_CONDITIONS[:-1])}"
                ),
            )


@rule(
    "MS302",
    "A try that runs into perTryTimeout is not retried by the default conditions.",
    spec="3.3",
    fix="add 5xx, gateway-error or reset to retryOn",
)
def never_retries_timeouts(facts: Facts) -> Iterator[Found]:
    """The timeout of a try counts as a 504, which the default conditions do not take."""
    for flow, _ in _retried(facts):
        source, retry = _set(flow.route, "retry.per_try_timeout"), flow.route.retry
        if source and retry.per_try_timeout and not _TAKE_TIMEOUTS & set(retry.conditions):
            yield (
                source,
                (
                    f"a try of {_ends(flow)} that takes longer than perTryTimeout "
                    f"{retry.per_try_timeout:g} s ends the request with 504 UT: retryOn does not take it"
                ),
            )


@rule(
    "MS303",
    "The route's timeout ends before all retries have had their perTryTimeout.",
    spec="3.3",
    fix="set timeout to at least (attempts + 1) times perTryTimeout and the back-off, or lower perTryTimeout",
)
def retries_beyond_the_timeout(facts: Facts) -> Iterator[Found]:
    """The route's timeout is for all tries together."""
    for flow, source in _retried(facts):
        timeout, retry = flow.route.timeout, flow.route.retry
        per_try = retry.per_try_timeout
        if not timeout or not per_try or timeout >= per_try * (retry.attempts + 1):
            continue
        if per_try >= timeout:
            yield (
                _set(flow.route, "retry.per_try_timeout") or source,
                (
                    f"perTryTimeout {per_try:g} s of {_ends(flow)} does nothing: "
                    f"the route's timeout, {timeout:g} s, is not longer"
                ),
            )
            continue
        yield (
            source,
            (
                f"{retry.attempts + 1} tries of {per_try:g} s do not fit in the timeout "
                f"of {timeout:g} s of {_ends(flow)}: {int(timeout / per_try + 1e-9)} do"
            ),
        )


@rule(
    "MS304",
    "A connection that gets no answer outlasts the route's timeout, so it is never retried.",
    spec="3.3",
    fix="set connectionPool.tcp.connectTimeout to a fraction of the timeout",
)
def connects_longer_than_allowed(facts: Facts) -> Iterator[Found]:
    """A host that drops packets holds a try for the whole connect timeout."""
    for flow in facts.flows:
        timeout, source = flow.route.timeout, _set(flow.route, "timeout")
        if not source or not timeout or not flow.route.retry.attempts or flow.route.retry.per_try_timeout:
            continue
        for to, _ in flow.route.destinations:
            upstream = (to.service, to.subset)
            if not to.service or not facts.has_subset(upstream):
                continue
            connect = facts.policy(upstream).connect_timeout
            if connect >= timeout:
                yield (
                    source,
                    (
                        f"a host of {title(upstream)} that drops packets uses up the timeout of {timeout:g} s "
                        f"in one try: connectTimeout is {connect:g} s, so no retry reaches another host"
                    ),
                )


@rule(
    "MS305",
    "A retries block without attempts switches retries off.",
    spec="3.3",
    fix="set attempts",
    replaces="switches retries off",
)
def retries_switched_off(facts: Facts) -> Iterator[Found]:
    """Attempts that are missing are 0."""
    for source, path, _ in warned(facts, "switches retries off"):
        yield source, f"{path} switches retries off: attempts is missing"


@rule(
    "MS306",
    "Retries on several hops of a chain of calls multiply.",
    spec="3.3",
    fix="retry on one hop only, or bound retries with retryBudget",
)
def retries_multiply(facts: Facts) -> Iterator[Found]:
    """No hop knows of the retries of another."""
    tries = _Chains(facts)
    for flow in facts.flows:
        count, chain, source = tries.worst(flow) if not flow.caller else (0, (), "")
        if count >= _MANY_TRIES and source:
            yield source, f"retries multiply along {' → '.join(chain)}: up to {count} tries there for one request"


#: Tries, services on the way, and where the first retries that multiply are set.
_Chain = tuple[int, tuple[str, ...], str]


class _Chains:
    """The most tries of one request at the end of a chain of calls, as 5xx answers travel up."""

    def __init__(self, facts: Facts) -> None:
        self._below: dict[str, list[Flow]] = {}
        for flow in facts.flows:
            self._below.setdefault(flow.made_by, []).append(flow)
        self._known: dict[str, _Chain] = {}

    def worst(self, flow: Flow, above: frozenset[str] = frozenset()) -> _Chain:
        """Return the longest product of tries that begins with a request."""
        tries = 1 + flow.route.retry.attempts if _takes_503(flow.route) else 1
        here = _set(flow.route, "retry.attempts") if tries > 1 else ""
        tries *= 1 + (flow.step.retries if flow.step is not None else 0)  # the application's own
        best: _Chain = (tries, (_ends(flow),), here)
        for operation in flow.operations:
            count, chain, source = self._from(operation, above)
            if tries * count > best[0]:
                best = (tries * count, (_ends(flow), *chain), here or source)
        return best

    def _from(self, operation: str, above: frozenset[str]) -> _Chain:
        if operation in above:
            return 1, (), ""
        if operation not in self._known:
            found = [self.worst(flow, above | {operation}) for flow in self._below.get(operation, [])]
            self._known[operation] = max(found, key=lambda one: one[0], default=(1, (), ""))
        return self._known[operation]


@rule(
    "MS307",
    "retryRemoteLocalities does nothing without locality priorities.",
    spec="0.13",
    fix="add outlierDetection to the DestinationRule, or leave the field away",
)
def no_remote_localities(facts: Facts) -> Iterator[Found]:
    """It leaves out priorities tried before, and there is only one."""
    for flow, source in _retried(facts):
        if not flow.route.retry.remote_localities:
            continue
        for to, _ in flow.route.destinations:
            upstream = (to.service, to.subset)
            if to.service and facts.has_subset(upstream) and not facts.policy(upstream).locality_failover:
                place = _set(flow.route, "retry.remote_localities") or source
                yield (
                    place,
                    f"retryRemoteLocalities does nothing for {title(upstream)}: all its hosts have one priority",
                )


@rule(
    "MS308",
    "Timeouts and retries of a rule do not apply to the faults that it injects.",
    spec="3.5",
    fix="inject the fault in a VirtualService of the service below, or fail its pods",
)
def faults_are_not_retried(facts: Facts) -> Iterator[Found]:
    """The client's proxy makes the fault up before it routes the request."""
    for flow in facts.flows:
        fault, source = flow.route.fault, _set(flow.route, "fault")
        if fault.abort_percent > 0 and _set(flow.route, "retry.attempts") and flow.route.retry.attempts:
            yield (
                source,
                f"the injected abort {fault.abort_code} of {_ends(flow)} is never retried: it comes before routing",
            )
        if fault.delay_percent > 0 and flow.route.timeout and fault.delay >= flow.route.timeout:
            yield (
                source,
                f"the injected delay of {fault.delay:g} s of {_ends(flow)} is not cut off by the route's timeout",
            )


@rule(
    "MS309",
    "A fault without percentage is injected into no request.",
    spec="3.5",
    fix="set percentage.value",
)
def faults_of_no_request(facts: Facts) -> Iterator[Found]:
    """The percentage that is left away is 0."""
    for service in facts.resources.virtual_services:
        for entry in service.http:
            fault = entry.fault
            idle = fault is not None and (
                (fault.delay > 0 and not fault.delay_percent) or (fault.abort_code and not fault.abort_percent)
            )
            if idle:
                yield (
                    entry.source,
                    f"a fault of {entry.number} is injected into no request: its percentage is 0 or missing",
                )


@rule(
    "MS310",
    "The timeout of a call never ends before that of the request it is made for.",
    spec="3.4",
    fix="set a timeout that is shorter than those of the callers",
)
def timeouts_longer_than_the_caller_s(facts: Facts) -> Iterator[Found]:
    """The caller has given up by then, and the work goes on for nobody."""
    above: dict[str, list[Flow]] = {}
    for flow in facts.flows:
        for operation in flow.operations:
            above.setdefault(operation, []).append(flow)
    for flow in facts.flows:
        source, timeout = _set(flow.route, "timeout"), flow.route.timeout
        callers = [one.route.timeout for one in above.get(flow.made_by, ())]
        if source and timeout and callers and all(limit and limit <= timeout for limit in callers):
            longest = max(limit for limit in callers if limit)
            yield (
                source,
                (
                    f"timeout {timeout:g} s of {_ends(flow)} never ends a call of {flow.caller}: "
                    f"requests to {flow.caller} end after {longest:g} s"
                ),
            )
