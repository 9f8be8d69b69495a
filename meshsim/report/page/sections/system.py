"""The third section: who controls whom under each deployment, as a picture and as a table."""

from __future__ import annotations

from meshsim.mesh.deployment import ControlPlane, control_planes
from meshsim.report.page.parts import NAME, Cell, Figure, Row, Section, Table
from meshsim.report.page.study import Study
from meshsim.report.shorten import listed, short

#: Clusters that a cell of the table names.
_NAMED = 12


def system(study: Study) -> Section:
    """Return the section."""
    document = study.document
    networks = {cluster.network for cluster in document.clusters.values()}
    counted = {"clusters": len(document.clusters), "regions": len(document.regions), "networks": len(networks)}
    sizes = listed([f"{count} {name if count != 1 else name[:-1]}" for name, count in counted.items()])
    services = f"{len(document.services)} service{'s' * (len(document.services) != 1)}"
    return Section("system", "The system", (f"{sizes}; {services}.",), (_planes(study),), (_picture(study),))


def _picture(study: Study) -> Figure:
    said = [f"{short(name, NAME)}: {_words(study, name)}" for name in study.deployments]
    return Figure(
        "topology",
        study.plots.topology().figure,
        "Who controls whom. Grey areas are regions, boxes clusters with the fill of their network, hexagons control"
        " planes; lines lead to the clusters that they serve beside their own. See how many boxes hang on one hexagon:"
        " so far reaches its loss.",
        f"Topology of each deployment. {'. '.join(said)}.",
    )


def _words(study: Study, deployment: str) -> str:
    planes = control_planes(study.plots.document_of(deployment), deployment)
    found = [f"{short(p.name, NAME)} serves {listed([short(c, NAME) for c in p.serves[:_NAMED]])}" for p in planes]
    return "; ".join(found[:_NAMED]) or "no control plane"


def _planes(study: Study) -> Table:
    rows = []
    for deployment in study.deployments:
        for plane in control_planes(study.plots.document_of(deployment), deployment):
            serves = [short(name, NAME) for name in plane.serves]
            more = f" and {len(serves) - _NAMED} more" if len(serves) > _NAMED else ""
            cells = (
                Cell(short(plane.home, NAME) or "outside all clusters"),
                Cell(f"{', '.join(serves[:_NAMED])}{more}" or "none"),
                Cell(str(plane.replicas)),
                Cell(_reached(plane)),
            )
            rows.append(Row(short(plane.name, NAME), cells, group=short(deployment, NAME)))
    header = ("control plane", "runs in", "serves", "replicas", "other clusters reach it")
    return Table("control-planes", "Control planes of each deployment", header, tuple(rows), wide=True)


def _reached(plane: ControlPlane) -> str:
    """Return how other clusters reach a control plane, where it serves any."""
    if not plane.serves_others:
        return "none needs to"
    return "through a gateway" if plane.access == "gateway" else plane.access
