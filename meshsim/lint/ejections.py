"""Lints about outlier detection: ejections that never happen, or that do more than they seem to."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.lint.facts import Facts, Upstream, is_set, title
from meshsim.lint.registry import Found, listed, rule
from meshsim.mesh.endpoints import HostView
from meshsim.mesh.places import Client
from meshsim.scenario.istio.policy import OutlierDetection, Policy

_OVERPROVISIONING = 140


def _detecting(facts: Facts) -> Iterator[tuple[Upstream, Policy, OutlierDetection]]:
    for upstream, policy in facts.policies:
        if policy.outlier_detection is not None:
            yield upstream, policy, policy.outlier_detection


def _source(policy: Policy, name: str) -> str:
    """Return where a field of outlier detection is set, or else where the block is."""
    field = f"outlier_detection.{name}"
    return policy.sources[field if is_set(policy, field) else "outlier_detection"]


def _seen(facts: Facts, upstream: Upstream) -> Iterator[tuple[Client, tuple[HostView, ...]]]:
    for client in facts.clients(upstream):
        if views := facts.views(upstream, client):
            yield client, views


def _detects(detection: OutlierDetection) -> bool:
    local = detection.split_external_local_origin_errors and detection.consecutive_local_origin_failures
    return bool(detection.consecutive_5xx or detection.consecutive_gateway_errors or local)


@rule(
    "MS201",
    "maxEjectionPercent of so few hosts is none: nothing is ever ejected.",
    spec="3.2",
    fix="set maxEjectionPercent to at least 100 / hosts, rounded up; 100 for locality failover",
)
def ejects_nothing(facts: Facts) -> Iterator[Found]:
    """Istio does not set Envoy's always_eject_one_host, so the percentage is rounded down."""
    for upstream, policy, detection in _detecting(facts):
        percent = detection.max_ejection_percent
        small: dict[int, list[str]] = {}
        for client, views in _seen(facts, upstream):
            if len(views) * percent < 100:
                small.setdefault(len(views), []).append(client.cluster)
        for hosts, clusters in small.items() if _detects(detection) else ():
            default = "" if is_set(policy, "outlier_detection.max_ejection_percent") else ", the default,"
            yield (
                _source(policy, "max_ejection_percent"),
                (
                    f"maxEjectionPercent {percent}{default} of the {_hosts(hosts)} of {title(upstream)} "
                    f"that clients in {listed(clusters)} see is none: nothing is ever ejected"
                ),
            )


def _hosts(count: int) -> str:
    return f"{count} host{'s' if count > 1 else ''}"


@rule(
    "MS202",
    "maxEjectionPercent keeps hosts of a failing locality in use, so failover stays partial.",
    spec="2.10",
    fix="set maxEjectionPercent to 100",
)
def failover_stays_partial(facts: Facts) -> Iterator[Found]:
    """Ejections are limited over all priorities, and a priority keeps its share of load as long as hosts are left."""
    for upstream, policy, detection in _detecting(facts):
        if not policy.locality_failover or not _detects(detection):
            continue
        stays: dict[tuple[int, int, int], list[str]] = {}
        for client, views in _seen(facts, upstream):
            near = sum(view.priority == 0 for view in views)
            most = len(views) * detection.max_ejection_percent // 100
            left = min(100, _OVERPROVISIONING * max(near - most, 0) // max(near, 1))
            if 0 < near < len(views) and most and left:
                stays.setdefault((most, near, left), []).append(client.cluster)
        for (most, near, left), clusters in stays.items():
            yield (
                _source(policy, "max_ejection_percent"),
                (
                    f"clients in {listed(clusters)} can eject {most} of the {near} nearest hosts of {title(upstream)}: "
                    f"when all of them fail, {left} % of the requests stay there"
                ),
            )


@rule(
    "MS203",
    "Below minHealthPercent ejected hosts get requests again.",
    spec="2.6",
    fix="leave minHealthPercent away, or lower maxEjectionPercent so that it is never reached",
)
def panics_before_the_limit(facts: Facts) -> Iterator[Found]:
    """Outlier detection sets Envoy's panic threshold to minHealthPercent."""
    for upstream, policy, detection in _detecting(facts):
        if not is_set(policy, "panic_threshold") or not policy.panic_threshold:
            continue
        for client, views in _seen(facts, upstream):
            hosts = len(views)
            most = hosts * detection.max_ejection_percent // 100
            alone = all(view.priority == 0 for view in views)
            enough = next((n for n in range(1, most + 1) if _panics(hosts, n, policy.panic_threshold)), 0)
            if alone and enough:
                yield (
                    policy.sources["panic_threshold"],
                    (
                        f"minHealthPercent {policy.panic_threshold}: when {enough} of the {_hosts(hosts)} of "
                        f"{title(upstream)} that clients in {client.cluster} see are ejected, "
                        "all get requests again, the ejected too"
                    ),
                )
                break


def _panics(hosts: int, ejected: int, threshold: int) -> bool:
    """Tell whether health is ignored: too few healthy hosts, and less than 100 % of health by Envoy's factor 1.4."""
    healthy = hosts - ejected
    return 100 * healthy < threshold * hosts and _OVERPROVISIONING * healthy // hosts < 100


@rule(
    "MS204",
    "A gateway is one host: an ejection takes away its whole network, and bad pods behind it stay.",
    spec="4.4",
    fix="give the gateway several addresses (istio#52435), and detect bad pods where they are, by readiness",
)
def gateways_are_one_host(facts: Facts) -> Iterator[Found]:
    """Pods behind a gateway are not hosts of the client."""
    found: dict[str, dict[str, int]] = {}
    for upstream, policy, detection in _detecting(facts):
        for _, views in _seen(facts, upstream):
            gateways = sum(view.is_gateway for view in views)
            behind = len(facts.pods(upstream)) - sum(not view.is_gateway for view in views)
            ejectable = len(views) * detection.max_ejection_percent // 100
            if gateways and behind > gateways and ejectable >= gateways and _detects(detection):
                found.setdefault(_source(policy, "outlier_detection"), {}).setdefault(title(upstream), behind)
                break
    for source, services in found.items():
        which = listed(f"{behind} pods of {name}" for name, behind in services.items())
        yield source, f"outlier detection sees gateways in place of {which}: none of them is ejected alone"


@rule(
    "MS205",
    "baseEjectionTime below interval: hosts return only at the ticks of the interval.",
    spec="3.2",
    fix="set interval to a fraction of baseEjectionTime",
)
def returns_at_ticks(facts: Facts) -> Iterator[Found]:
    """Ejected hosts are released by a timer that fires once an interval."""
    for upstream, policy, detection in _detecting(facts):
        if detection.base_ejection_time < detection.interval and is_set(policy, "outlier_detection.base_ejection_time"):
            yield (
                _source(policy, "base_ejection_time"),
                (
                    f"baseEjectionTime {detection.base_ejection_time:g} s ends at a tick of interval, every "
                    f"{detection.interval:g} s: hosts of {title(upstream)} stay away for up to that long"
                ),
            )


@rule(
    "MS206",
    "consecutiveGatewayErrors is never reached before consecutive5xxErrors.",
    spec="3.2",
    fix="set consecutive5xxErrors to 0 or above consecutiveGatewayErrors",
)
def gateway_errors_come_too_late(facts: Facts) -> Iterator[Found]:
    """Gateway errors are 5xx too, so the other count is never smaller."""
    for upstream, policy, detection in _detecting(facts):
        if 0 < detection.consecutive_5xx <= detection.consecutive_gateway_errors:
            default = "" if is_set(policy, "outlier_detection.consecutive_5xx") else ", the default,"
            yield (
                _source(policy, "consecutive_gateway_errors"),
                (
                    f"consecutiveGatewayErrors {detection.consecutive_gateway_errors} changes nothing for "
                    f"{title(upstream)}: consecutive5xxErrors {detection.consecutive_5xx}{default} "
                    "counts gateway errors too, and ejects first"
                ),
            )


@rule(
    "MS207",
    "Outlier detection without a detector ejects nothing.",
    spec="3.2",
    fix="set consecutive5xxErrors or consecutiveGatewayErrors above 0",
)
def detects_nothing(facts: Facts) -> Iterator[Found]:
    """Istio uses only the detectors that count errors in a row."""
    for upstream, policy, detection in _detecting(facts):
        if not _detects(detection):
            source = _source(policy, "consecutive_5xx")
            yield (
                source,
                f"no host of {title(upstream)} is ever ejected: consecutive5xxErrors is 0 and nothing else counts",
            )


@rule(
    "MS208",
    "consecutiveLocalOriginFailures does nothing without splitExternalLocalOriginErrors.",
    spec="3.2",
    fix="set splitExternalLocalOriginErrors to true, or leave the field away",
)
def local_origin_is_not_split(facts: Facts) -> Iterator[Found]:
    """Without the split, failures to connect count as gateway errors."""
    for upstream, policy, detection in _detecting(facts):
        name = "outlier_detection.consecutive_local_origin_failures"
        if is_set(policy, name) and not detection.split_external_local_origin_errors:
            yield (
                policy.sources[name],
                (
                    f"consecutiveLocalOriginFailures does nothing for {title(upstream)}: without "
                    "splitExternalLocalOriginErrors failures to connect count as 503"
                ),
            )


@rule(
    "MS209",
    "The only host may be ejected: requests are then answered 503 UH.",
    spec="2.6",
    fix="run more than one pod, or keep maxEjectionPercent below 100",
)
def ejects_the_only_host(facts: Facts) -> Iterator[Found]:
    """With a panic threshold of 0 there is no host left to choose."""
    for upstream, policy, detection in _detecting(facts):
        alone = [client.cluster for client, views in _seen(facts, upstream) if len(views) == 1]
        if alone and detection.max_ejection_percent == 100 and not policy.panic_threshold and _detects(detection):
            yield (
                _source(policy, "max_ejection_percent"),
                (
                    f"{title(upstream)} has one host for clients in {listed(alone)}, "
                    "and it may be ejected: requests then get 503 UH until it returns"
                ),
            )
