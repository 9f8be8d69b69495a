"""Security and governance: who shares a control plane, who can read whose Secrets, and data that leaves its regions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from meshsim.analysis.grid import Grid, Values
from meshsim.analysis.hops import hops, looked_up
from meshsim.analysis.phases import Phase, counted_at, phases
from meshsim.mesh.deployment import ControlPlane, control_planes
from meshsim.scenario.checks.governance import kept_outside
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["shared control plane", "readable Secrets", "trust domains", "data kept outside", "data sent outside"]

#: Trust domain of a mesh that says nothing (MeshConfig).
TRUST_DOMAIN = "cluster.local"

Rows = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a review should know.

    Parameters
    ----------
    kind
        What it is about.
    deployment
        Under which deployment; empty = under every one.
    subject
        Control plane, cluster, service, or ``service of cluster → service of cluster``; what is in none is named with
        its region: ``service in region, outside the clusters``.
    message
        In words.
    phase
        When, of data that was sent; else empty.
    calls, bytes
        Calls that took data out, and the bytes that left: means of the replications. 0 for what is not measured.
    first, last
        Start of the first and end of the last time bucket in which it happened, seconds; nan for what is not measured.
    """

    kind: Kind
    deployment: str
    subject: str
    message: str
    phase: str = ""
    calls: float = 0.0
    bytes: float = 0.0
    first: float = float("nan")
    last: float = float("nan")


def findings(tables: Mapping[str, pd.DataFrame], document: Document) -> list[Finding]:
    """Return what there is to know of a scenario, and what its runs did; those of the scenario first.

    Parameters
    ----------
    tables
        Of the runs; an empty mapping for what the scenario alone says.
    document
        The scenario.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> clusters = {name: {"region": "eu", "security_domain": name} for name in ("shop", "bank")}
    >>> document = Document.model_validate({**EXAMPLE, "clusters": clusters, "deployments": ["primary-remote"]})
    >>> [one.message for one in findings({}, document)]
    ['shop serves clusters of several security domains: bank and shop', 'shop can read every Secret of bank']
    """
    found = [*_kept(document), *_trust(document)]
    for name in document.deployments:
        found += _shared(document, name)
    return found + (_sent(tables["calls"], document, phases(document)) if "calls" in tables else [])


def frame(found: Iterable[Finding]) -> pd.DataFrame:
    """Return findings as a table, a row for each.

    Examples
    --------
    >>> frame([]).columns.tolist()[:3]
    ['kind', 'deployment', 'subject']
    """
    import pandas as pd

    columns = [field.name for field in fields(Finding)]
    return pd.DataFrame([asdict(one) for one in found], columns=columns)


# --- as metrics -------------------------------------------------------------------------------------------------


def measures(tables: Mapping[str, pd.DataFrame], grid: Grid, document: Document) -> Iterator[tuple[str, str, Values]]:
    """Return how many calls took tagged data out of its regions, and how many bytes; nothing where none is tagged."""
    if not _tagged(document):
        return
    calls, grid = tables["calls"], grid.counted
    leaving = _leaving(calls, document)
    cells = grid.cells(calls)
    yield "residency_calls", "all", grid.total(cells, calls["count"].to_numpy(dtype=float), leaving.at_all)
    yield "residency_bytes", "all", grid.total(cells, leaving.bytes)


def shared(document: Document, name: str) -> tuple[int, int] | None:
    """Return how many control planes of a deployment are shared, and how many remote secrets reach into other domains.

    Returns
    -------
    tuple of int or None
        Control planes that serve clusters of several security domains; remote secrets with which a control plane reads
        a cluster of another domain than its own. None where no cluster has a security domain.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> clusters = {name: {"region": "eu", "security_domain": name} for name in ("shop", "bank")}
    >>> document = Document.model_validate({**EXAMPLE, "clusters": clusters})
    >>> shared(document, "primary-remote"), shared(document, "multi-primary")
    ((1, 1), (0, 2))
    """
    if not any(cluster.security_domain for cluster in document.clusters.values()):
        return None
    planes = control_planes(document, name)
    return (
        sum(len(_domains(document, plane.serves)) > 1 for plane in planes),
        sum(len(_foreign(document, plane)) for plane in planes),
    )


# --- what the scenario says -------------------------------------------------------------------------------------


def _shared(document: Document, name: str) -> Iterator[Finding]:
    for plane in control_planes(document, name):
        domains = _domains(document, plane.serves)
        if len(domains) > 1:
            message = f"{plane.name} serves clusters of several security domains: {_listed(domains)}"
            yield Finding("shared control plane", name, plane.name, message)
        foreign = _foreign(document, plane)
        if foreign:
            yield Finding(
                "readable Secrets", name, plane.name, f"{plane.name} can read every Secret of {_listed(foreign)}"
            )
        trust = sorted({_trust_domain(document, cluster) for cluster in plane.serves})
        if len(trust) > 1:
            message = f"{plane.name} signs for one trust domain, and its clusters are in {_listed(trust)}"
            yield Finding("trust domains", name, plane.name, message)


def _domains(document: Document, clusters: Iterable[str]) -> list[str]:
    """Return the security domains of clusters; one without is in none."""
    found = {document.clusters[cluster].security_domain for cluster in clusters}
    return sorted(domain for domain in found if domain is not None)


def _foreign(document: Document, plane: ControlPlane) -> list[str]:
    """Return the clusters of other domains that a control plane has a remote secret for.

    One outside all clusters is in no domain, so every domain is another one.
    """
    own = document.clusters[plane.home].security_domain if plane.home else None
    domains = {cluster: document.clusters[cluster].security_domain for cluster in plane.secrets}
    return [cluster for cluster, domain in domains.items() if domain is not None and domain != own]


def _trust_domain(document: Document, cluster: str) -> str:
    default = str(document.mesh_config.get("trustDomain") or TRUST_DOMAIN)
    return document.clusters[cluster].trust_domain or default


def _trust(document: Document) -> Iterator[Finding]:
    """Yield trust domains of clusters whose proxies refuse each other."""
    found = {cluster: _trust_domain(document, cluster) for cluster in document.clusters}
    aliases = set(document.mesh_config.get("trustDomainAliases") or ())
    strange = sorted(set(found.values()) - aliases)
    if len(set(found.values())) > 1 and strange:
        named = _listed(sorted(set(found.values())))
        message = (
            f"clusters are in the trust domains {named}, and meshConfig.trustDomainAliases lacks {_listed(strange)}: "
            "by default a proxy refuses peers of another trust domain"
        )
        yield Finding("trust domains", "", ", ".join(found), message)


def _kept(document: Document) -> Iterator[Finding]:
    """Yield clusters and pods that stand where their own data must not be."""
    for field, name, where in kept_outside(document):
        if field == "clusters":
            kept, allowed = f"is in {where[0]}", document.clusters[name].data_residency
        else:
            kept, allowed = f"has pods in {_listed(where)}", document.services[name].data_residency
        message = f"{name} {kept}, and its data has to stay in {_listed(allowed)}"
        yield Finding("data kept outside", "", name, message)


# --- what was sent ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Leaving:
    """Rows of the table of calls of which the request, or the response, took tagged data out; the bytes; where to.

    The last is a region, where the table names a cluster of another one in its place; else empty.
    """

    at_all: Rows
    bytes: Values
    away: NDArray[np.object_]


def _tagged(document: Document) -> bool:
    tags = [body.data_residency for body in document.clusters.values()]
    return any([*tags, *(body.data_residency for body in document.services.values())])


def _leaving(calls: pd.DataFrame, document: Document) -> _Leaving:
    ends = hops(calls, document)
    clusters = {name: body.data_residency for name, body in document.clusters.items()}
    services = {name: body.data_residency for name, body in document.services.items()}
    there, back = (calls[f"{which}_bytes"].to_numpy(dtype=float) for which in ("request", "response"))
    out = _must_not(calls[["source_cluster", "source"]], [clusters, services], ends.regions, ends.destination)
    home = _must_not(calls[["destination_cluster", "destination"]], [clusters, services], ends.regions, ends.source)
    out, home = out & (there > 0), home & (back > 0)
    return _Leaving(out | home, there * out + back * home, ends.outside)


def _must_not(
    owners: pd.DataFrame, tags: Sequence[Mapping[str, Collection[str]]], regions: Sequence[str], to: NDArray[np.int64]
) -> Rows:
    """Return which rows send data of an owner, a cluster or a service, to a region that it does not allow."""
    forbidden = np.zeros(len(owners), dtype=bool)
    for column, allowed_by in zip(owners, tags, strict=True):
        # The last row and column are for what has no number: nothing is forbidden there.
        table = np.zeros((len(allowed_by) + 1, len(regions) + 1), dtype=bool)
        for at, allowed in enumerate(allowed_by.values()):
            table[at, : len(regions)] = [bool(allowed) and region not in allowed for region in regions]
        owner = looked_up(owners[column], {name: at for at, name in enumerate(allowed_by)})
        forbidden |= np.asarray(table[owner, to], dtype=bool)
    return forbidden


def _sent(calls: pd.DataFrame, document: Document, spans: Sequence[Phase]) -> list[Finding]:
    """Return which services sent tagged data out of its regions, in which phase."""
    if not _tagged(document):
        return []
    leaving = _leaving(calls, document)
    kept = ["deployment", "replication", "start", "end", "source", "destination", "source_cluster"]
    rows = calls.loc[leaving.at_all, [*kept, "destination_cluster", "count"]]
    places = [
        f"in {region}, outside the clusters" if region else f"of {cluster or 'outside'}"
        for region, cluster in zip(leaving.away[leaving.at_all], rows["destination_cluster"], strict=True)
    ]
    rows = rows.assign(bytes=leaving.bytes[leaving.at_all], place=places)
    replications = calls.groupby("deployment", observed=True)["replication"].nunique()
    found = []
    ends = ["deployment", "source", "source_cluster", "destination", "place"]
    for phase in spans:
        inside = rows[counted_at((rows["start"] + rows["end"]) / 2, phase)]
        for key, group in inside.groupby(ends, sort=False, observed=True):
            deployment, source, here, destination, place = (str(part) for part in key)
            n = int(replications[deployment])
            count, size = float(group["count"].sum()) / n, float(group["bytes"].sum()) / n
            subject = f"{source} of {here} → {destination} {place}"
            message = f"{subject}: {count:,.0f} calls took {size:,.0f} bytes of tagged data out of its regions"
            first, last = float(group["start"].min()), float(group["end"].max())
            found.append(
                Finding("data sent outside", deployment, subject, message, phase.name, count, size, first, last)
            )
    return found


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
