"""Resources that select workloads by their labels: PeerAuthentication, Sidecar and ProxyConfig."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar, get_args

from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.fields import NO_EFFECT
from meshsim.scenario.istio.report import Report
from meshsim.scenario.istio.resolve import Setting
from meshsim.scenario.istio.rules import Resource
from meshsim.scenario.istio.workloads import has_labels
from meshsim.scenario.tree import Path

Labels = tuple[tuple[str, str], ...]
#: Namespace and labels of a workload.
Pods = tuple[str, Mapping[str, str]]
MutualTls = Literal["STRICT", "PERMISSIVE", "DISABLE"]


class Scoped(Protocol):
    """A resource for a namespace, or for those of its workloads that have some labels."""

    @property
    def namespace(self) -> str:
        """Where it stands."""

    @property
    def selector(self) -> Labels:
        """Labels of its workloads."""


_T = TypeVar("_T", bound=Scoped)


def in_scope(resources: Iterable[_T], namespace: str, labels: Mapping[str, str], root: str) -> list[_T]:
    """Return the resources for a workload: one that selects it, its namespace's, then that of the root namespace.

    Of several in one place the first counts; in Istio the oldest (policy_applier.go, sidecar.go, proxy_config.go).

    Examples
    --------
    >>> mesh, own = PeerAuthentication("istio-system"), PeerAuthentication("shop", (("app", "cart"),))
    >>> in_scope([mesh, own], "shop", {"app": "cart"}, "istio-system") == [own, mesh]
    True
    """
    found: dict[int, _T] = {}
    for resource in resources:
        place = _place(resource, namespace, labels, root)
        if place is not None:
            found.setdefault(place, resource)
    return [found[place] for place in sorted(found)]


def _place(resource: Scoped, namespace: str, labels: Mapping[str, str], root: str) -> int | None:
    """Return how wide the resource of a workload is: 0 by its selector, 1 of its namespace, 2 of the mesh."""
    if resource.selector:
        return 0 if has_labels(labels, resource.selector) and resource.namespace == namespace else None
    if resource.namespace == namespace:
        return 1
    return 2 if resource.namespace == root else None


def warn_unused(read: Iterable[tuple[Resource, Scoped]], pods: Sequence[Pods], root: str, report: Report) -> None:
    """Warn of resources of one kind that are for no workload, or only for such that have another of the same place.

    Parameters
    ----------
    read
        The resources of the kind and what they say, in order.
    pods
        All workloads.
    root
        Istio's root namespace.
    report
        Takes the warnings.
    """
    places: list[dict[int, str]] = [{} for _ in pods]
    for resource, one in read:
        found = [(taken, _place(one, *workload, root)) for taken, workload in zip(places, pods, strict=True)]
        before = [taken.setdefault(place, resource.origin.title) for taken, place in found if place is not None]
        if not before:
            at, message = _nobody(resource, one)
            report.warn(resource.origin, ("spec",), f"{message}: it {NO_EFFECT}", at)
        elif resource.origin.title not in before:
            message = f"has no effect: {before[0]} counts before it"
            report.warn(resource.origin, ("spec",), message, ("metadata", "name"))


def _nobody(resource: Resource, one: Scoped) -> tuple[Path, str]:
    """Return the field by which a resource is for no workload, and how."""
    if not one.selector:
        return ("metadata", "namespace"), f"no service is in namespace {one.namespace}"
    return ("spec", "selector" if "selector" in resource.spec else "workloadSelector"), "selects no service's pods"


# --- PeerAuthentication -----------------------------------------------------------------------------------------


_MODES: Mapping[str, MutualTls] = {mode: mode for mode in get_args(MutualTls)}


@dataclass(frozen=True, slots=True)
class PeerAuthentication:
    """Which connections the proxies of some workloads accept.

    Parameters
    ----------
    namespace, selector
        The workloads; no selector = all of the namespace, or of the mesh in the root namespace.
    mode
        STRICT, PERMISSIVE, DISABLE, or UNSET to leave it to the wider resource.
    ports
        (port, mode) of single ports.
    """

    namespace: str
    selector: Labels = ()
    mode: str = "UNSET"
    ports: tuple[tuple[int, str], ...] = ()


def peer_authentication(resource: Resource) -> PeerAuthentication:
    """Return what a PeerAuthentication says."""
    spec = resource.spec
    ports = tuple((int(port), _mode(mtls)) for port, mtls in (spec.get("portLevelMtls") or {}).items())
    return PeerAuthentication(resource.namespace, _match_labels(spec), _mode(spec.get("mtls")), ports)


def mutual_tls(
    resources: Sequence[PeerAuthentication], namespace: str, labels: Mapping[str, str], root: str, port: int = 0
) -> MutualTls:
    """Return what a workload's proxy accepts; PERMISSIVE, both, by default.

    Source: spec §8; Istio pilot/pkg/security/authn/policy_applier.go: the narrowest resource that sets a mode counts;
    of two in one place the first, even if it sets none.

    Parameters
    ----------
    resources, root
        Those of the mesh, and Istio's root namespace.
    namespace, labels
        The workload.
    port
        Its port; 0 = one without a mode of its own.

    Examples
    --------
    >>> mutual_tls([PeerAuthentication("istio-system", mode="STRICT")], "shop", {}, "istio-system")
    'STRICT'
    """
    for resource in in_scope(resources, namespace, labels, root):
        ports = dict(resource.ports) if resource.selector else {}
        for candidate in (ports.get(port, "UNSET"), resource.mode):
            if candidate in _MODES:
                return _MODES[candidate]
    return "PERMISSIVE"


def _mode(mtls: Mapping[str, str] | None) -> str:
    return (mtls or {}).get("mode", "UNSET")


def _match_labels(spec: Mapping[str, Mapping[str, Mapping[str, str]]], field_name: str = "selector") -> Labels:
    selector = spec.get(field_name) or {}
    return tuple((selector.get("matchLabels") or selector.get("labels") or {}).items())


# --- Sidecar ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the proxies of some workloads know, and how much they let in.

    Parameters
    ----------
    namespace, selector
        The workloads.
    egress
        (namespace, host) patterns of the services that they know; None = all.
    inbound
        Settings of ``inboundConnectionPool``; None where there is none.
    outbound
        What becomes of requests for unknown hosts; empty = as the mesh says.
    title
        Kind, namespace and name, for messages.
    """

    namespace: str
    selector: Labels = ()
    egress: tuple[tuple[str, str], ...] | None = None
    inbound: tuple[Setting, ...] | None = None
    outbound: str = ""
    title: str = field(default="", compare=False)


def sidecar(resource: Resource) -> Sidecar:
    """Return what a Sidecar says."""
    spec = resource.spec
    listeners = spec.get("egress") or []
    patterns = tuple(_pattern(written, resource.namespace) for listener in listeners for written in listener["hosts"])
    path = ("spec", "inboundConnectionPool")
    inbound = resource.below(path) if path[1] in spec else None
    outbound = str((spec.get("outboundTrafficPolicy") or {}).get("mode", ""))
    selector = _match_labels(spec, "workloadSelector")
    egress = patterns if listeners else None
    return Sidecar(resource.namespace, selector, egress, inbound, outbound, resource.origin.title)


def visible(
    resources: Sequence[Sidecar], service: hosts.Service, namespace: str, labels: Mapping[str, str], root: str
) -> bool:
    """Tell whether a client's proxy knows a service (spec §8; Istio pilot/pkg/model/sidecar.go).

    Examples
    --------
    >>> only_own = Sidecar("shop", egress=(("shop", "*"),))
    >>> [visible([only_own], ("cart", home), "shop", {}, "istio-system") for home in ("shop", "bank")]
    [True, False]
    """
    scope = next(iter(in_scope(resources, namespace, labels, root)), None)
    if scope is None or scope.egress is None:
        return True
    name = hosts.full_name(service)
    return any(home in {"*", service[1]} and hosts.matches(host, name) for home, host in scope.egress)


def _pattern(written: str, namespace: str) -> tuple[str, str]:
    """Return (namespace, host) of an egress host; ``~`` means no namespace at all."""
    home, _, host = written.partition("/")
    return namespace if home == "." else home, host


# --- ProxyConfig ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """Worker threads of some workloads' proxies; 0 = all processors."""

    namespace: str
    selector: Labels = ()
    concurrency: int | None = None


def proxy_config(resource: Resource) -> ProxyConfig:
    """Return what a ProxyConfig says."""
    return ProxyConfig(resource.namespace, _match_labels(resource.spec), resource.spec.get("concurrency"))


def concurrency(
    resources: Sequence[ProxyConfig], namespace: str, labels: Mapping[str, str], root: str, mesh: int | None
) -> int | None:
    """Return how many worker threads a workload's proxy has; None where nobody says.

    Parameters
    ----------
    resources, root
        Those of the mesh, and Istio's root namespace.
    namespace, labels
        The workload.
    mesh
        ``defaultConfig.concurrency`` of MeshConfig.

    Examples
    --------
    >>> concurrency([ProxyConfig("shop", concurrency=4)], "shop", {}, "istio-system", 2)
    4
    """
    found = (resource.concurrency for resource in in_scope(resources, namespace, labels, root))
    return next((threads for threads in found if threads is not None), mesh)
