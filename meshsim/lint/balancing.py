"""Lints about load balancing, TLS and weights of gateways."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.lint.facts import Facts, Flow, Upstream, is_set, title
from meshsim.lint.registry import Found, listed, rule
from meshsim.mesh.endpoints import HostView
from meshsim.scenario.istio.policy import HashPolicy
from meshsim.scenario.istio.resolve import DEFAULT


@rule(
    "MS601",
    "Only LEAST_REQUEST and ROUND_ROBIN warm new pods up.",
    spec="2.5",
    fix="leave warmup away, or use LEAST_REQUEST or ROUND_ROBIN",
    replaces="only LEAST_REQUEST and ROUND_ROBIN warm up",
)
def warm_up_without_effect(facts: Facts) -> Iterator[Found]:
    """Envoy has no slow start for the other balancers."""
    for upstream in facts.upstreams:
        found = facts.rule(upstream[0])
        for setting in found.settings(upstream[1]) if found else ():
            balancer = facts.policy(upstream).load_balancer
            if setting.name in {"warmup", "warmup_duration"} and balancer not in {"LEAST_REQUEST", "ROUND_ROBIN"}:
                yield setting.source, f"warmup does nothing for {title(upstream)}: {balancer} has no slow start"


@rule(
    "MS602",
    "Requests without the header, cookie or parameter that consistentHash looks at go to a random host.",
    spec="2.5",
    fix="let requests carry it (load.*.keys or headers), or hash something that they have",
)
def nothing_to_hash(facts: Facts) -> Iterator[Found]:
    """A request without the key has no hash."""
    for upstream, policy in facts.policies:
        if policy.hash is None:
            continue
        flows = facts.flows_to(upstream)
        lacking = [flow.name for flow in flows if not _carries(flow, policy.hash)]
        if policy.hash.kind == "none":
            yield policy.sources["hash"], f"consistentHash of {title(upstream)} names nothing to hash: hosts are random"
        elif lacking:
            yield (
                policy.sources["hash"],
                (
                    f"consistentHash of {title(upstream)} by {policy.hash.kind} '{policy.hash.name}' does nothing for "
                    f"{listed(lacking, 2)}: they do not carry it and go to a random host"
                ),
            )


def _carries(flow: Flow, wanted: HashPolicy) -> bool:
    if wanted.kind in {"source_ip", "none"} or (wanted.kind == "cookie" and wanted.ttl is not None):
        return True  # Envoy makes a cookie that has a ttl
    name = wanted.name.lower()
    carried = {*dict(flow.variant.headers), *(key for key, _ in flow.variant.keys)}
    query = {key.lower() for key in flow.request.query} if wanted.kind == "query" else set()
    return name in carried | query


@rule(
    "MS603",
    "Behind a gateway there is no affinity: the gateway chooses the pod, for each connection.",
    spec="2.5",
    fix="keep the service within the network, or accept that affinity ends at the gateway",
)
def affinity_ends_at_gateways(facts: Facts) -> Iterator[Found]:
    """The hash leads to the gateway's address."""
    for upstream, policy in facts.policies:
        away = [
            client.cluster
            for client in facts.clients(upstream) if policy.hash is not None
            if any(view.is_gateway for view in facts.views(upstream, client))
        ]  # fmt: skip
        if away:
            yield (
                policy.sources["hash"],
                (
                    f"consistentHash of {title(upstream)} does not reach pods of other networks: "
                    f"for clients in {listed(away)} the gateway picks one for each connection"
                ),
            )


@rule(
    "MS604",
    "With consistentHash the default retries go to the same host again.",
    spec="2.5",
    fix="write retries with attempts and retryOn in a VirtualService: they avoid hosts tried before",
)
def retries_hit_the_same_host(facts: Facts) -> Iterator[Found]:
    """Istio leaves the previous_hosts predicate out of the default policy."""
    for upstream, policy in facts.policies:
        flows = [flow for flow in facts.flows_to(upstream) if policy.hash is not None]
        if any(flow.route.sources.get("retry.attempts", DEFAULT) == DEFAULT for flow in flows):
            yield (
                policy.sources["hash"],
                f"default retries to {title(upstream)} hit the host that has just failed: same hash",
            )


@rule(
    "MS605",
    "Without Istio's mutual TLS the pods of other networks are out of reach.",
    spec="4.3",
    fix="use tls.mode ISTIO_MUTUAL, or leave tls away",
)
def plain_text_across_networks(facts: Facts) -> Iterator[Found]:
    """Gateways find the service by the name in the TLS handshake."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for upstream, policy in facts.policies:
        if policy.mutual_tls:
            continue
        networks = {pod.network for pod in facts.pods(upstream)} & set(facts.gateways.by_network)
        cut = [client.cluster for client in facts.clients(upstream) if networks - {client.network}]
        if cut:
            place = found.setdefault(policy.sources["tls_mode"], {})
            place[title(upstream)] = (policy.tls_mode, listed(cut))
    for source, services in found.items():
        mode, cut_off = next(iter(services.values()))
        yield (
            source,
            (
                f"tls.mode {mode} hides the pods of {listed(services)} in other networks from clients in {cut_off}: "
                "gateways pass only Istio's mutual TLS"
            ),
        )


@rule(
    "MS606",
    "Plain text to pods whose PeerAuthentication is STRICT is refused.",
    spec="3.6",
    fix="use tls.mode ISTIO_MUTUAL, or leave tls away",
)
def plain_text_to_strict(facts: Facts) -> Iterator[Found]:
    """The server's proxy closes such connections."""
    for upstream, policy in facts.policies:
        service = facts.service(upstream[0])
        strict = [
            pod.workload
            for pod in facts.pods(upstream) if not policy.mutual_tls
            if pod.tls and facts.resources.mutual_tls(service.namespace, dict(pod.labels)) == "STRICT"
        ]  # fmt: skip
        if strict and facts.document.sidecar.enabled:
            yield (
                policy.sources["tls_mode"],
                (
                    f"tls.mode {policy.tls_mode} of {title(upstream)}: {listed(strict)} takes mutual TLS only "
                    "(PeerAuthentication STRICT), so every request fails with 503"
                ),
            )


@rule(
    "MS607",
    "Of a gateway listed for several localities Envoy keeps the first, with that locality's weight (istio#56355).",
    spec="4.3",
    fix="keep a service's pods of one cluster in one zone, "
    "or use localities (failover, distribute) rather than weights",
)
def gateway_weights_collapse(facts: Facts) -> Iterator[Found]:
    """Copies of an address are dropped."""
    shifted: dict[str, dict[str, tuple[int, int]]] = {}
    for upstream, policy in facts.policies:
        if policy.locality.distribute:
            continue
        for client in facts.clients(upstream):
            kept, whole = (_away(facts.views(upstream, client, dedup=dedup)) for dedup in (None, False))
            if whole - kept >= 5:
                source = next((policy.sources[name] for name in ("outlier_detection",) if is_set(policy, name)), "")
                shifted.setdefault(source or facts.source("services"), {}).setdefault(title(upstream), (kept, whole))
    for source, services in shifted.items():
        parts = listed(f"{name} ({kept} % in place of {whole} %)" for name, (kept, whole) in services.items())
        yield (
            source,
            f"clients send fewer requests to other networks than pods there are: {parts}, as istio#56355 explains",
        )


def _away(views: tuple[HostView, ...]) -> int:
    """Return the percentage of the nearest hosts' weight that gateways have."""
    near = [view for view in views if view.priority == 0]
    gateways = sum(view.weight for view in near if view.is_gateway)
    return round(100 * gateways / sum(view.weight for view in near)) if near else 0


@rule(
    "MS608",
    "PASSTHROUGH dials the address that the application asked for: nothing is balanced, nothing fails over.",
    spec="2.5",
    fix="use another balancer",
)
def passthrough_balances_nothing(facts: Facts) -> Iterator[Found]:
    """There is no list of hosts to choose from."""
    for upstream, policy in facts.policies:
        asked = policy.outlier_detection is not None or is_set(policy, "locality.failover")
        if policy.load_balancer == "PASSTHROUGH" and (asked or is_set(policy, "locality.distribute")):
            yield (
                policy.sources["load_balancer"],
                f"PASSTHROUGH leaves outlierDetection and localityLbSetting of {title(upstream)} without effect",
            )


@rule(
    "MS609",
    "Some clients see no endpoint of a service that has pods: 503 UH.",
    spec="3.7",
    fix="run pods where the clients may reach them, or let them reach others (clusterLocal, distribute, tls.mode)",
)
def clients_without_endpoints(facts: Facts) -> Iterator[Found]:
    """Cluster-local services, distribute, and networks without mutual TLS hide endpoints."""
    for upstream, policy in facts.policies:
        blind = [client.cluster for client in facts.clients(upstream) if not facts.views(upstream, client)]
        if blind and facts.pods(upstream):
            yield (
                policy.sources["cluster_local"] if policy.cluster_local else _cause(facts, upstream),
                f"clients in {listed(blind)} see no endpoint of {title(upstream)}: their requests get 503 UH",
            )


def _cause(facts: Facts, upstream: Upstream) -> str:
    """Return where something is set that hides endpoints, or else the service."""
    policy = facts.policy(upstream)
    names = ("locality.distribute", "tls_mode")
    return next((policy.sources[name] for name in names if is_set(policy, name)), facts.source("services", upstream[0]))
