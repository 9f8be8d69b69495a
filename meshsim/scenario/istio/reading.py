"""Reads Istio resources and a MeshConfig, and says what is wrong with them or has no effect."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from meshsim.errors import Problem, did_you_mean
from meshsim.scenario.istio import hosts, scopes, workloads
from meshsim.scenario.istio.balancing import TRAFFIC_DISTRIBUTION
from meshsim.scenario.istio.destination_rules import DestinationRule, merged
from meshsim.scenario.istio.fields import Check, described
from meshsim.scenario.istio.fields_mesh import MESH_CONFIG
from meshsim.scenario.istio.fields_services import traffic_distribution
from meshsim.scenario.istio.kinds import KINDS, is_gone, is_istio, kind_problem
from meshsim.scenario.istio.report import Locate, Origin, Report
from meshsim.scenario.istio.resolve import Setting
from meshsim.scenario.istio.resources import ROOT_NAMESPACE, IstioResources
from meshsim.scenario.istio.routes import VirtualService
from meshsim.scenario.istio.rule_reading import destination_rule, warn_unused_rules
from meshsim.scenario.istio.rules import RETRIES_OFF, Resource
from meshsim.scenario.istio.scopes import (
    PeerAuthentication,
    Pods,
    ProxyConfig,
    Sidecar,
    peer_authentication,
    proxy_config,
    sidecar,
)
from meshsim.scenario.istio.versions import profile
from meshsim.scenario.istio.virtual_services import delegated, virtual_service, warn_unused_routes
from meshsim.scenario.istio.workloads import ExternalService, GatewayResource, Workload, gateway
from meshsim.scenario.tree import Path


def read_resources(
    documents: Sequence[Mapping[str, Any]],
    locate: Callable[[int, Path], tuple[str, int]],
    mesh_config: Mapping[str, Any],
    mesh_locate: Locate,
    services: Collection[tuple[str, str]],
    *,
    version: str = "1.31",
    traffic_distributions: Mapping[hosts.Service, str] | None = None,
    ports: Mapping[hosts.Service, int] | None = None,
    outside: Mapping[hosts.Service, str] | None = None,
    places: Mapping[str, Collection[str]] | None = None,
    pods: Sequence[Pods] | None = None,
    gateway_pods: Sequence[Pods] = (),
) -> tuple[IstioResources, list[Problem]]:
    """Read parsed Kubernetes objects and a MeshConfig.

    Parameters
    ----------
    documents
        Kubernetes objects; lists of them (``kind: List``) are opened, kinds that are not Istio's are passed over.
    locate
        Returns (file, line) of a path within document i.
    mesh_config
        MeshConfig; what it sets comes before ``spec.meshConfig`` of an IstioOperator.
    mesh_locate
        Returns (file, line) of a path within it.
    services
        (name, namespace) of every service of the scenario.
    version
        The Istio version, for warnings about fields that it does not have yet.
    traffic_distributions
        ``trafficDistribution`` by service; it wins over that of a Kubernetes Service among the documents.
    ports
        The port by service; one that is not there has a port that is not known.
    outside
        The host of each service that is known by another name than Kubernetes' own.
    places
        Zones by region, for the localities of endpoints; None = they are not checked.
    pods
        Workloads of the services, for resources that select them; None = nobody looks for resources that select none.
    gateway_pods
        Those of gateways, which ProxyConfigs are for, too.

    Returns
    -------
    tuple
        The resources, and every error: unknown fields with the nearest known name, values that Istio refuses.

    Examples
    --------
    >>> rule = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "cart"},
    ...         "spec": {"host": "cart", "trafficPolicy": {"outlierDetection": {}}}}
    >>> nowhere = lambda *path: ("", 0)
    >>> resources, problems = read_resources([rule], nowhere, {}, nowhere, [("cart", "default")])
    >>> resources.policy("cart", "default", "1.31").outlier_detection.consecutive_5xx, problems
    (5, [])
    """
    reading = Reading(services, version, outside, places=places, pods=pods, gateway_pods=gateway_pods)
    reading.traffic_distributions.update(
        {reading.identity(service): value for service, value in (traffic_distributions or {}).items()}
    )
    reading.ports.update({reading.identity(service): port for service, port in (ports or {}).items()})
    reading.mesh_config(Origin(-1, "MeshConfig", mesh_locate), mesh_config, ())
    for index, document in enumerate(documents):
        for prefix, inner in _opened(document, ()):
            reading.document(index, inner, partial(_within, locate, index, prefix))
    return reading.resources(), reading.report.problems


def _within(locate: Callable[[int, Path], tuple[str, int]], index: int, prefix: Path, path: Path) -> tuple[str, int]:
    return locate(index, (*prefix, *path))


def _opened(document: object, prefix: Path) -> Iterator[tuple[Path, object]]:
    """Yield the objects of a Kubernetes list, or the object itself."""
    items = document.get("items") if isinstance(document, Mapping) else None
    if isinstance(items, (list, tuple)) and str(document.get("kind")).endswith("List"):  # type: ignore[attr-defined]
        for index, item in enumerate(items):
            yield from _opened(item, (*prefix, "items", index))
    elif document is not None:
        yield prefix, document


def without_nulls(value: Any) -> Any:
    """Return a value without the fields that are null, which Kubernetes takes for fields left away.

    Examples
    --------
    >>> without_nulls({"host": "cart", "subsets": None, "http": [{"match": None}]})
    {'host': 'cart', 'http': [{}]}
    """
    if isinstance(value, Mapping):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, (list, tuple)) else value


_ZONES = (
    "prefers regions only, in Istio too: zones need ISTIO_META_ENABLE_SELF_DISCOVERY: 'true' "
    "in defaultConfig.proxyMetadata"
)


class Reading:
    """Resources while they are read; an error in one never hides those of another."""

    def __init__(
        self,
        services: Collection[tuple[str, str]],
        version: str,
        outside: Mapping[hosts.Service, str] | None = None,
        *,
        places: Mapping[str, Collection[str]] | None = None,
        pods: Sequence[Pods] | None = None,
        gateway_pods: Sequence[Pods] = (),
    ) -> None:
        self.known = sorted(services)
        self.outside = outside or {}
        self.places = places
        self.pods = pods
        self.gateway_pods = gateway_pods
        self.services = sorted(self.identity(service) for service in services)
        self.names = {hosts.full_name(self.identity(service)): service[0] for service in self.known}
        self.version = version
        self.report = Report()
        self.checks: list[tuple[Origin, Check]] = []
        self.named: dict[tuple[str, str, str], Resource] = {}
        self.rules: list[tuple[Resource, DestinationRule]] = []
        self.routes: list[tuple[Resource, VirtualService]] = []
        self.traffic_distributions: dict[hosts.Service, str] = {}
        self.ports: dict[hosts.Service, int] = {}
        self.peers: list[tuple[Resource, PeerAuthentication]] = []
        self.sidecars: list[tuple[Resource, Sidecar]] = []
        self.proxies: list[tuple[Resource, ProxyConfig]] = []
        self.gateways: list[GatewayResource] = []
        self.mesh: dict[str, Origin] = {}
        self.mesh_settings: list[Setting] = []
        self.baseline: list[Setting] = []
        self.count = 0

    def identity(self, service: hosts.Service) -> hosts.Service:
        """Return what `hosts.full_name` makes the host of a service from."""
        return self.outside.get(service, service[0]), service[1]

    def document(self, index: int, document: object, locate: Locate) -> None:
        """Read one Kubernetes object."""
        self.count += 1
        nameless = Origin(self.count, f"Istio resource {index + 1}", locate)
        if not isinstance(document, Mapping):
            self.report.problem(nameless, (), f"{described(document)} is not a Kubernetes object")
            return
        api_version, kind = str(document.get("apiVersion") or ""), str(document.get("kind") or "")
        if not api_version or not kind:
            self.report.problem(nameless, (), f"{'kind' if api_version else 'apiVersion'} is required")
            return
        if is_istio(api_version):
            self._istio(document, api_version, kind, locate)
        elif (api_version, kind) == ("v1", "Service"):
            self._service(document, Origin(self.count, f"Service/{_named(document)[0] or '?'}", locate))

    def _service(self, document: Mapping[str, Any], origin: Origin) -> None:
        """Take the ``trafficDistribution`` of a Kubernetes Service (spec §2.9 (d))."""
        path, value = traffic_distribution(document)
        if value in TRAFFIC_DISTRIBUTION and _named(document) not in self.services:
            self.report.warn(origin, (), hosts.no_service(hosts.full_name(_named(document)), self.services), path)
        elif value in TRAFFIC_DISTRIBUTION:
            self.traffic_distributions.setdefault(_named(document), value)
        elif value:
            hint = did_you_mean(value, TRAFFIC_DISTRIBUTION)
            self.report.problem(origin, path, f"{described(value)} is not a value of this field{hint}")

    def _istio(self, document: Mapping[str, Any], api_version: str, kind: str, locate: Locate) -> None:
        name, namespace = _named(document)
        origin = Origin(self.count, f"{kind}/{name or '?'}", locate, f"{kind} {namespace}/{name or '?'}")
        if is_gone(api_version):
            message = f"{api_version} is not part of Istio any more: it has no effect"
            self.report.warn(origin, (), message, ("apiVersion",))
            return
        place, wrong = kind_problem(api_version, kind)
        if wrong:
            self.report.problem(origin, (place,), wrong)
            return
        check = self._checked(origin, Check(KINDS[kind].table).run(document))
        if not name and kind != "IstioOperator":
            self.report.problem(origin, ("metadata",), "name is required")
        elif not check.problems:
            spec = without_nulls(document.get("spec") or {})
            self._keep(kind, Resource(origin, name, namespace, spec, tuple(check.settings)))

    def _checked(self, origin: Origin, check: Check) -> Check:
        self.checks.append((origin, check))
        for path, message in check.problems:
            self.report.problem(origin, path, message)
        for path, note in check.unmodelled:
            self.report.warn(origin, path, note)
        return check

    def _keep(self, kind: str, resource: Resource) -> None:
        """Keep a resource; as with kubectl, a later one of the same kind, namespace and name replaces it."""
        key = (kind, resource.namespace, resource.name)
        if kind == "IstioOperator":  # each describes a cluster's own installation
            key = (kind, "", str(self.count))
        before = self.named.pop(key, None)
        if before is not None:
            message = f"has no effect: {resource.origin.source(('metadata', 'name'))} has the same name and replaces it"
            self.report.warn(before.origin, (), message, ("metadata", "name"))
        self.named[key] = resource

    def _use(self, kind: str, resource: Resource) -> None:
        match kind:
            case "DestinationRule":
                has = profile(self.version)
                ejects = has.default_traffic_policy and any(one.name == "outlier_detection" for one in self.baseline)
                self.rules.append((resource, destination_rule(resource, has, self.report, mesh_ejects=ejects)))
            case "VirtualService":
                self.routes.append((resource, virtual_service(resource, self.names, self.report)))
            case "PeerAuthentication":
                self.peers.append((resource, peer_authentication(resource)))
            case "Sidecar":
                self.sidecars.append((resource, self._sidecar(resource)))
            case "ProxyConfig":
                self.proxies.append((resource, proxy_config(resource)))
            case "Gateway":
                self.gateways.append(gateway(resource))
            case "IstioOperator":
                settings = resource.settings
                self._mesh(resource.origin, resource.spec.get("meshConfig") or {}, ("spec", "meshConfig"), settings)

    def _sidecar(self, resource: Resource) -> Sidecar:
        path = ("spec", "inboundConnectionPool")
        for found in resource.settings:
            if found.path[:2] == path and found.path != path and not found.name.startswith("circuit_breaker."):
                self.report.warn(resource.origin, found.path)
        return sidecar(resource)

    # --- MeshConfig -------------------------------------------------------------------------------------------

    def mesh_config(self, origin: Origin, config: Mapping[str, Any], prefix: Path) -> None:
        """Read a MeshConfig."""
        check = self._checked(origin, Check(MESH_CONFIG).run(config))
        if not check.problems:
            self._mesh(origin, without_nulls(config), prefix, tuple(check.settings))

    def _mesh(self, origin: Origin, config: Mapping[str, Any], prefix: Path, settings: Sequence[Any]) -> None:
        """Take the fields that no MeshConfig before this one has set."""
        resource = Resource(origin, "", "", config, tuple(settings))
        for name in config:
            first = self.mesh.setdefault(name, origin)
            if first is not origin:
                message = f"has no effect: {first.source((*_mesh_prefix(first), name))} sets it before"
                self.report.warn(origin, (*prefix, name), message)
            elif name == "defaultTrafficPolicy":
                self.baseline += resource.below((*prefix, name))
                if not profile(self.version).default_traffic_policy:
                    self.report.warn(origin, (*prefix, name), f"has no effect: Istio {self.version} does not have it")
            else:
                self.mesh_settings += resource.below((*prefix, name))
                self._lint_mesh(origin, name, config[name], (*prefix, name))

    def _lint_mesh(self, origin: Origin, name: str, value: Any, path: Path) -> None:
        if name == "defaultHttpRetryPolicy" and not value.get("attempts") and set(value) != {"attempts"}:
            self.report.warn(origin, path, RETRIES_OFF)

    # --- the end ----------------------------------------------------------------------------------------------

    def resources(self) -> IstioResources:
        """Return what was read, with the warnings that need all of it."""
        # What the mesh has counts for the rules that stand before it, too.
        for (kind, _, _), resource in sorted(self.named.items(), key=lambda kept: kept[0][0] != "IstioOperator"):
            self._use(kind, resource)
        roots = [setting.value for setting in self.mesh_settings if setting.name == "root_namespace"]
        root = roots[0] if roots else ROOT_NAMESPACE
        rules = merged(rule for _, rule in self.rules)
        warn_unused_rules(self.rules, rules, self.services, root=root, ports=self.ports, report=self.report)
        self._warn_zones()
        entries, machines = self._of("ServiceEntry"), self._of("WorkloadEntry")
        workloads.check(entries, machines, self.services, self.places, self.report)
        known = tuple(workloads.workload(resource) for resource in machines)
        external = tuple(workloads.external_service(resource, known) for resource in entries)
        self._warn_scopes(root, external, known)
        routes = delegated(self.routes, self.report)
        warn_unused_routes(routes, self.services, self.report)
        return IstioResources(
            destination_rules=rules,
            traffic_distributions=tuple(sorted(self.traffic_distributions.items())),
            ports=tuple(sorted(self.ports.items())),
            virtual_services=tuple(route for _, route in routes),
            mesh=tuple(setting for setting in self.mesh_settings if setting.name != "root_namespace"),
            baseline=tuple(self.baseline),
            root_namespace=root,
            warnings=self.report.warnings(),
            services=tuple(self.known),
            outside=tuple(self.outside.items()),
            peer_authentications=tuple(one for _, one in self.peers),
            sidecars=tuple(one for _, one in self.sidecars),
            proxy_configs=tuple(one for _, one in self.proxies),
            gateways=tuple(self.gateways),
            service_entries=external,
            workload_entries=known,
        )

    def _warn_scopes(self, root: str, external: Sequence[ExternalService], machines: Sequence[Workload]) -> None:
        """Warn of resources that count for no workload, endpoints of ServiceEntries and WorkloadEntries included."""
        if self.pods is None:
            return
        given = [(one.namespace, dict(end.labels)) for one in external for end in one.endpoints]
        pods = [*self.pods, *given, *((one.namespace, dict(one.endpoint.labels)) for one in machines)]
        for read, others in ((self.peers, ()), (self.sidecars, ()), (self.proxies, self.gateway_pods)):
            scopes.warn_unused(read, [*pods, *others], root, self.report)

    def _warn_zones(self) -> None:
        """Warn of zone-aware routing without the proxies' knowledge of their own service (spec §2.8)."""
        known = any(setting.name == "self_discovery" and setting.value == "true" for setting in self.mesh_settings)
        has_it = profile(self.version).default_traffic_policy
        for resource, _ in self.rules if has_it and not known else []:
            for found in resource.settings:
                if found.name == "zone_aware" and found.value.get("enabled"):
                    self.report.warn(resource.origin, found.path, _ZONES)

    def _of(self, kind: str) -> list[Resource]:
        return [resource for (known, _, _), resource in self.named.items() if known == kind]


def _named(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return name and namespace of a Kubernetes object."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return str(metadata.get("name") or ""), str(metadata.get("namespace") or "default")


def _mesh_prefix(origin: Origin) -> Path:
    return () if origin.label == "MeshConfig" else ("spec", "meshConfig")
