"""A scenario as a notebook has it: with its graph and its topology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshsim import experiment, scenario

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.axes import Axes

    from meshsim.report.panels import Panels


@dataclass(frozen=True, slots=True)
class Scenario(scenario.Scenario):
    """A scenario; see `meshsim.load`."""

    def graph(self, deployment: str | None = None) -> nx.MultiDiGraph[Any]:
        """Return the mesh as one graph: places, services, gateways, links, calls and who controls whom.

        Parameters
        ----------
        deployment
            Adds the control planes of this deployment and their edges.

        Raises
        ------
        ScenarioError
            If the deployment is unknown.
        """
        from meshsim.mesh.graph import build
        from meshsim.report.notebook import Topology

        experiment.check(self, [] if deployment is None else [deployment], 1, 1)
        return Topology(build(self.document, deployment))

    def topology(self, deployments: Sequence[str] = (), ax: Axes | None = None) -> Panels:
        """Draw who controls whom under some deployments, all by default, without running anything.

        Raises
        ------
        ScenarioError
            If a deployment is unknown.
        """
        from meshsim.mesh.graph import build
        from meshsim.report.topology import topology

        names = list(deployments) or list(self.document.deployments)
        experiment.check(self, names, 1, 1)
        return topology({name: build(self.document, name) for name in names}, ax)

    def export_graph(self, path: str | Path, deployment: str | None = None) -> Path:
        """Write the graph to a file: GraphML for ``.graphml``, else node-link JSON; return its path."""
        import json

        from meshsim.mesh.graph import to_node_link, write_graphml

        graph, target = self.graph(deployment), Path(path)
        if target.suffix == ".graphml":
            write_graphml(graph, target)
        else:
            target.write_text(json.dumps(to_node_link(graph), indent=1), encoding="utf-8")
        return target

    def _repr_html_(self) -> str:
        from meshsim.report.html import scenario_html

        return scenario_html(self)


def load(
    source: str | Path | Mapping[str, Any], overrides: Sequence[str] = (), *, variant: str | None = None
) -> Scenario:
    """Return the scenario of a file, a bundled name or a dict.

    Parameters
    ----------
    source
        Path of a file, name of a bundled scenario, or a dict of the same shape.
    overrides
        Changes as ``path=value``, such as ``load.frontend.rate=400/s``.
    variant
        One of those in its ``what_if``, to be looked at alone; the deployment that it is one of comes first.

    Raises
    ------
    ScenarioError
        With everything that is wrong.

    Examples
    --------
    >>> load("online-boutique").document.name
    'online-boutique'
    """
    from meshsim.analysis import criteria, expectations, windows
    from meshsim.mesh import checks
    from meshsim.mesh.deployment import control_planes
    from meshsim.scenario.variants import alone, load_all, warnings

    asked = (*expectations.CHECKS, *criteria.CHECKS, *windows.CHECKS)
    found, own = load_all(source, overrides, checks.CHECKS, control_planes, asked)
    if variant is None:
        return _ours(found, (*found.warnings, *warnings(found, own)))
    one = alone(found, own, variant)
    return _ours(one, one.warnings)


def _ours(found: scenario.Scenario, told: tuple[str, ...]) -> Scenario:
    """Return a scenario as a notebook has it."""
    return Scenario(**{**{field.name: getattr(found, field.name) for field in fields(found)}, "warnings": told})
