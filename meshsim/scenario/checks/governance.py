"""Checks of prices and of where data has to stay: regions exist, and nothing stands where its data must not be."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.scenario.checks.finding import Finding, twice, unknown
from meshsim.scenario.schema import Document
from meshsim.scenario.schema_cost import ANY
from meshsim.scenario.selectors import replicas_of, workloads_of


def prices_are_of_known_regions(document: Document) -> Iterator[Finding]:
    """Yield prices of regions that do not exist, and of a region to itself."""
    for name in document.cost.regions:
        if name not in document.regions:
            yield unknown(("cost", "regions", name), "region", name, document.regions)
    for index, line in enumerate(document.cost.between_regions):
        for field, name in (("from", line.from_), ("to", line.to)):
            if name not in {ANY, *document.regions}:
                yield unknown(("cost", "between_regions", index, field), "region", name, [*document.regions, ANY])
        if line.from_ == line.to != ANY:
            message = "goes from a region to itself; give between_zones for a price within a region"
            yield Finding(("cost", "between_regions", index), message)


def data_stays_in_known_regions(document: Document) -> Iterator[Finding]:
    """Yield regions of `data_residency` that do not exist, or stand there twice."""
    tagged = [(("clusters", name), body.data_residency) for name, body in document.clusters.items()]
    tagged += [(("services", name), body.data_residency) for name, body in document.services.items()]
    for path, regions in tagged:
        yield from twice((*path, "data_residency"), "region", regions)
        for index, region in enumerate(regions):
            if region not in document.regions:
                yield unknown((*path, "data_residency", index), "region", region, document.regions)


def data_is_kept_where_it_may_be(document: Document) -> Iterator[Finding]:
    """Yield clusters and services that keep data in a region that is not among those it has to stay in."""
    for field, name, where in kept_outside(document):
        if field == "clusters":
            message = f"{name} is in {where[0]}, where its own data must not be"
        else:
            message = f"{name} has pods in {', '.join(where)}, where its data must not be"
        yield Finding((field, name, "data_residency"), message, warning=True)


def kept_outside(document: Document) -> Iterator[tuple[str, str, list[str]]]:
    """Yield what keeps data where it must not be: its section, its name, and where that is.

    A cluster is in a region that is not among those its own data has to stay in; a service has pods in such clusters.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> regions, clusters = {"eu": {}, "us": {}}, {"us-1": {"region": "us", "data_residency": ["eu"]}}
    >>> list(kept_outside(Document.model_validate({**EXAMPLE, "regions": regions, "clusters": clusters})))
    [('clusters', 'us-1', ['us'])]
    """
    for name, cluster in document.clusters.items():
        if cluster.data_residency and cluster.region not in cluster.data_residency:
            yield "clusters", name, [cluster.region]
    for name, service in document.services.items():
        outside = [
            cluster
            for cluster, body in document.clusters.items()
            if service.data_residency and body.region not in service.data_residency
            and any(replicas_of(document, name, workload, cluster) for workload in workloads_of(document, name))
        ]  # fmt: skip
        if outside:
            yield "services", name, outside
