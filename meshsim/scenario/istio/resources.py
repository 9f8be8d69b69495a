"""Reads Istio resources and answers which policy a client proxy applies to a service."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from meshsim.errors import Problem
from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.fields import Check, described
from meshsim.scenario.istio.fields_mesh import MESH_CONFIG
from meshsim.scenario.istio.kinds import KINDS, is_gone, is_istio, kind_problem
from meshsim.scenario.istio.policy import Policy
from meshsim.scenario.istio.report import Locate, Origin, Report
from meshsim.scenario.istio.resolve import Setting, layer, resolve
from meshsim.scenario.istio.rules import (
    RETRIES_OFF,
    Resource,
    Rule,
    chosen,
    destination_rule,
    virtual_service,
    warn_unused,
)
from meshsim.scenario.istio.versions import profile
from meshsim.scenario.tree import Path

_ROOT_NAMESPACE = "istio-system"


@dataclass(frozen=True, slots=True)
class IstioResources:
    """The traffic policy of a scenario.

    Parameters
    ----------
    destination_rules, virtual_services
        What the resources set, in the order of the files.
    mesh, baseline
        What MeshConfig sets, and what its ``defaultTrafficPolicy`` sets.
    root_namespace
        The namespace whose DestinationRules serve everyone.
    warnings
        What Istio knows and meshsim does not simulate, ``file:line: Kind/name: field: why``, once each. Two sets of
        resources are equal when they mean the same, wherever they stand.
    """

    destination_rules: tuple[Rule, ...] = ()
    virtual_services: tuple[Rule, ...] = ()
    mesh: tuple[Setting, ...] = ()
    baseline: tuple[Setting, ...] = ()
    root_namespace: str = _ROOT_NAMESPACE
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def policy(self, service: str, namespace: str, version: str) -> Policy:
        """Return what any client proxy does with requests to a service.

        Parameters
        ----------
        service, namespace
            The service.
        version
            The Istio version, such as ``1.31``.

        Raises
        ------
        ValueError
            If the version is not one.

        Examples
        --------
        >>> IstioResources().policy("cart", "default", "1.31").retry.attempts
        2
        """
        wanted = (service, namespace)
        rule = chosen(self.destination_rules, wanted, self.root_namespace, by_namespace=True)
        route = chosen(self.virtual_services, wanted, self.root_namespace, by_namespace=False)
        if route is not None and hosts.full_name(wanted) not in (route.targets or ()):
            route = None  # its requests go elsewhere
        return resolve(
            layer(rule.settings if rule else ()),
            layer(route.settings if route else ()),
            layer(self.mesh),
            layer(self.baseline),
            profile(version),
        )


def read_resources(
    documents: Sequence[Mapping[str, Any]],
    locate: Callable[[int, Path], tuple[str, int]],
    mesh_config: Mapping[str, Any],
    mesh_locate: Locate,
    services: Collection[tuple[str, str]],
    *,
    version: str = "1.31",
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
    reading = Reading(services, version)
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


class Reading:
    """Resources while they are read; an error in one never hides those of another."""

    def __init__(self, services: Collection[tuple[str, str]], version: str) -> None:
        self.services = sorted(services)
        self.version = version
        self.report = Report()
        self.checks: list[tuple[Origin, Check]] = []
        self.named: dict[tuple[str, str, str], Resource] = {}
        self.rules: list[tuple[Resource, Rule]] = []
        self.routes: list[tuple[Resource, Rule]] = []
        self.mesh: dict[str, Origin] = {}
        self.mesh_settings: list[Setting] = []
        self.baseline: list[Setting] = []
        self.count = 0

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

    def _istio(self, document: Mapping[str, Any], api_version: str, kind: str, locate: Locate) -> None:
        metadata = document.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        name, namespace = str(metadata.get("name") or ""), str(metadata.get("namespace") or "default")
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
                self.rules.append((resource, destination_rule(resource, self.report)))
            case "VirtualService":
                route = virtual_service(resource, self.report)
                if route is not None:
                    self.routes.append((resource, route))
            case "IstioOperator":
                settings = resource.settings
                self._mesh(resource.origin, resource.spec.get("meshConfig") or {}, ("spec", "meshConfig"), settings)

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
        for (kind, _, _), resource in self.named.items():
            self._use(kind, resource)
        roots = [setting.value for setting in self.mesh_settings if setting.name == "root_namespace"]
        root = roots[0] if roots else _ROOT_NAMESPACE
        use = partial(warn_unused, services=self.services, root=root, report=self.report)
        use(self.rules, by_namespace=True)
        use(self.routes, by_namespace=False)
        return IstioResources(
            destination_rules=tuple(rule for _, rule in self.rules),
            virtual_services=tuple(rule for _, rule in self.routes),
            mesh=tuple(setting for setting in self.mesh_settings if setting.name != "root_namespace"),
            baseline=tuple(self.baseline),
            root_namespace=root,
            warnings=self.report.warnings(),
        )


def _mesh_prefix(origin: Origin) -> Path:
    return () if origin.label == "MeshConfig" else ("spec", "meshConfig")
