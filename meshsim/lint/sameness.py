"""Lints about namespace sameness: a service of one name in several clusters is one service."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.lint.facts import Facts
from meshsim.lint.registry import Found, listed, rule
from meshsim.scenario import requests as asked

#: Tools that are installed in every cluster for that cluster alone, by the names of their Services.
_OF_ONE_CLUSTER = {
    "alertmanager", "coredns", "fluentd", "grafana", "jaeger-collector", "jaeger-query", "kiali", "kube-dns",
    "kube-state-metrics", "loki", "metrics-server", "node-exporter", "opentelemetry-collector", "otel-collector",
    "prometheus", "tempo", "thanos-query", "tracing", "zipkin",
}  # fmt: skip


def _homes(facts: Facts, service: str) -> dict[str, dict[str, str]]:
    """Return the workloads with pods and their ``app`` label by cluster."""
    found: dict[str, dict[str, str]] = {}
    for body in facts.placed:
        if body.service == service and body.replicas and body.outside is None:
            label = asked.labels_of(facts.document, service, body.name).get("app", "")
            found.setdefault(body.cluster, {})[body.name] = label
    return found


def _merged(facts: Facts) -> Iterator[tuple[str, dict[str, dict[str, str]]]]:
    """Yield services with pods in several clusters that clients use together."""
    for name in facts.document.services:
        homes = _homes(facts, name)
        kept_apart = facts.resources.cluster_local(name, facts.service(name).namespace)
        policy = facts.policy((name, ""))
        if len(homes) > 1 and not kept_apart and not policy.locality.distribute:
            yield name, homes


@rule(
    "MS701",
    "Different applications of one name and namespace in several clusters are one service.",
    spec="4.1",
    fix="give them different names or namespaces, or set clusterLocal for the host (meshConfig.serviceSettings)",
)
def different_applications(facts: Facts) -> Iterator[Found]:
    """Istio merges endpoints by name and namespace and looks at nothing else."""
    for name, homes in _merged(facts):
        subsets = facts.rule(name)
        apps = {cluster: set(workloads.values()) for cluster, workloads in homes.items()}
        common = set.intersection(*apps.values())
        if common or (subsets is not None and subsets.subsets):
            continue
        shown = listed(f"{'+'.join(workloads)} in {cluster}" for cluster, workloads in homes.items())
        yield (
            facts.source("services", name),
            f"{name} is one service in all clusters, and its clients reach {shown} alike",
        )


@rule(
    "MS702",
    "A tool that each cluster has for itself is one service over all clusters.",
    spec="4.1",
    fix="set clusterLocal for the host (meshConfig.serviceSettings)",
)
def tools_of_one_cluster(facts: Facts) -> Iterator[Found]:
    """Requests for a cluster's own tool go to those of the others too."""
    for name, homes in _merged(facts):
        if name in _OF_ONE_CLUSTER and not facts.policy((name, "")).locality_failover:
            yield (
                facts.source("services", name),
                f"{name} of {listed(homes)} is one service: requests for a cluster's own go to the others' too",
            )
