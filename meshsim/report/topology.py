"""The picture of who controls whom: regions, clusters, networks, gateways and control planes of each deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle

from meshsim.report import style
from meshsim.report.events import text_width
from meshsim.report.panels import Panels, canvas
from meshsim.report.shorten import short

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.axes import Axes

#: Inches. A row of clusters is a box and, under it, the gutter in which the lines of control run.
_BOX, _GUTTER, _HEAD, _PAD, _MARGIN = 0.56, 0.36, 0.24, 0.10, 0.16
_ACROSS, _PANELS, _APART = 3, 3, 0.15
#: Fill and hatch of the networks, in order; both differ, so that greyscale prints keep them apart.
_FILLS = (("#DCEBF7", ""), ("#FBE3B5", "////"), ("#CFE8DC", "...."), ("#EAD7E6", "\\\\\\\\"), ("#FFFFFF", "xx"))
_CONTROLS = (style.BLUE, style.VERMILLION, style.GREEN, style.BLACK, style.PURPLE, style.ORANGE)
#: Dashes of the lines to clusters that reach their control plane without a gateway.
_DIRECT = (0, (3, 1.5))
#: What the box of a control plane outside all clusters says; the first that fits.
_OUTSIDE = ("outside all clusters", "in no cluster", "outside")


@dataclass(frozen=True, slots=True)
class Plane:
    """A control plane, the cluster it runs in (empty for one outside all clusters) and those it serves.

    ``direct`` names the other clusters that reach it without a gateway, ``entrance`` tells whether it has one of its
    own, ``region`` where it is.
    """

    name: str
    home: str
    serves: tuple[str, ...]
    direct: frozenset[str] = frozenset()
    entrance: bool = False
    region: str = ""

    @property
    def box(self) -> str:
        """Key of the box that it stands in: its cluster's, or one of its own, which no cluster can be called."""
        return self.home or f"plane {self.name}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the picture of one deployment shows, read off its graph."""

    regions: Mapping[str, tuple[str, ...]]
    networks: Mapping[str, str]
    gateways: frozenset[str]
    planes: tuple[Plane, ...]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things are in one panel, inches from its lower left corner; boxes by `Plane.box` or cluster."""

    width: float
    height: float
    box: float
    areas: Mapping[str, tuple[float, float]]
    boxes: Mapping[str, tuple[float, float]]


def topology(graphs: Mapping[str, nx.MultiDiGraph[Any]], ax: Axes | None = None) -> Panels:
    """Draw the deployments side by side, at most three in a row.

    A control plane outside all clusters has a dashed box of its own in its region.

    Parameters
    ----------
    graphs
        Graph of each deployment, as `meshsim.mesh.graph.build` makes it.
    ax
        Axes whose place the panels take; a picture of its own by default.

    Examples
    --------
    >>> topology({"none": __import__("networkx").MultiDiGraph()})[0].get_title(loc="left")
    'none: 0 control planes'
    """
    plans = {name: read(graph) for name, graph in graphs.items()}
    # Four are a square rather than three and one.
    across = 2 if len(plans) == 4 else max(min(len(plans), _PANELS), 1)
    down = max(-(-len(plans) // across), 1)
    width = style.LANDSCAPE / max(across, 2)
    layouts = [_place(plan, width - _APART) for plan in plans.values()]
    tall = max((layout.height for layout in layouts), default=0.0) or 1.0
    with style.style():
        figure = canvas(ax, width * across, (tall + 0.35) * down + 0.75)
        grid = figure.subplots(down, across, squeeze=False).flatten()
        for axes in grid[len(plans) :]:
            axes.set_axis_off()
        for axes, (name, plan) in zip(grid, plans.items(), strict=False):
            draw_plan(plan, name, axes, width - _APART, tall)
        figure.suptitle("Who controls whom (“by” names the control plane that serves a cluster)")
        figure.legend(handles=_legend(list(plans.values())), loc="outside lower center", ncols=4 if across > 1 else 2)
    return Panels(grid[: len(plans)])


def draw_plan(plan: Plan, title: str, axes: Axes, width: float, height: float = 0.0) -> Axes:
    """Draw one deployment.

    Parameters
    ----------
    plan
        What to show, see `read`.
    title
        Name of the deployment.
    axes
        Where to draw.
    width
        Width of the panel, inches.
    height
        Height of the panel in inches where other panels are taller.
    """
    count = len(plan.planes)
    axes.set_title(f"{short(title, 24)}: {count} control plane{'s' * (count != 1)}", fontsize=style.BODY)
    axes.set_axis_off()
    layout = _place(plan, width)
    axes.set_xlim(0, layout.width)
    axes.set_ylim(layout.height - max(height, layout.height, 1.0), layout.height)
    for region, (bottom, tall) in layout.areas.items():
        axes.add_patch(
            Rectangle((0, bottom), layout.width, tall, fc="#F4F4F4", ec="#BDBDBD", lw=0.8, gid=f"region {region}")
        )
        axes.text(
            _PAD, bottom + tall - 0.05, f"region {short(region, 40)}", va="top", fontsize=style.SMALL, color="#444444"
        )
    served = {cluster: plane.name for plane in plan.planes for cluster in plane.serves}
    for cluster in plan.networks:
        _draw_cluster(axes, plan, layout, cluster, served.get(cluster, ""))
    track = 0
    for plane in plan.planes:
        if not plane.home:
            _draw_outside(axes, layout, plane)
        _draw_plane(axes, layout, plane, track)
        track += bool(set(plane.serves) - {plane.home})
    return axes


def _place(plan: Plan, width: float) -> _Layout:
    """Stack the regions as bands, and the clusters of each in rows of at most three."""
    inside = {region: [*names] for region, names in plan.regions.items()}
    for plane in plan.planes:
        if not plane.home:
            inside.setdefault(plane.region, []).append(plane.box)
    across = max(min(max((len(names) for names in inside.values()), default=1), _ACROSS), 1)
    box = (width - 2 * _MARGIN - _PAD * (across - 1)) / across
    rows = {region: -(-len(names) // across) for region, names in inside.items()}
    height = sum(_HEAD + rows[region] * (_BOX + _GUTTER) + _PAD for region in inside)
    top, areas, boxes = height, {}, {}
    for region, names in inside.items():
        tall = _HEAD + rows[region] * (_BOX + _GUTTER)
        areas[region] = (top - tall, tall)
        for i, cluster in enumerate(names):
            row, column = divmod(i, across)
            boxes[cluster] = (
                _MARGIN + column * (box + _PAD),
                top - _HEAD - row * (_BOX + _GUTTER) - _BOX,
            )
        top -= tall + _PAD
    return _Layout(width, height, box, areas, boxes)


def _draw_cluster(axes: Axes, plan: Plan, layout: _Layout, cluster: str, served_by: str) -> None:
    """Draw the box in its network's colour, its name, who controls it, and the mark of its east-west gateway."""
    x, y = layout.boxes[cluster]
    network = plan.networks.get(cluster, "")
    fill, hatch = _FILLS[_networks([plan]).index(network) % len(_FILLS)] if network else ("white", "")
    axes.add_patch(
        FancyBboxPatch(
            (x + 0.03, y + 0.03), layout.box - 0.06, _BOX - 0.06, boxstyle="round,pad=0.03", fc=fill, ec="#333333",
            lw=0.8, gid=f"cluster {cluster}", zorder=2,
        )
    )  # fmt: skip
    if hatch:
        # The network's hatch is a strip at the left: behind the words it would make them hard to read.
        axes.add_patch(
            Rectangle((x, y + 0.03), 0.10, _BOX - 0.06, fc="none", ec="#777777", lw=0, hatch=hatch, zorder=3)
        )
    room = (layout.box - 0.24) * 72
    owner = f"by {_fit(served_by, style.SMALL, room - 12, 1.0)}" if served_by else "by none"
    name = _fit(cluster, style.SMALL, room, 1.14)
    axes.text(x + 0.14, y + _BOX - 0.07, name, va="top", fontsize=style.SMALL, weight="bold", zorder=4)
    axes.text(x + 0.14, y + _BOX - 0.23, owner, va="top", fontsize=style.SMALL, zorder=4)
    if cluster in plan.gateways:
        _draw_gateway(axes, layout, cluster, "white")


def _draw_outside(axes: Axes, layout: _Layout, plane: Plane) -> None:
    """Draw the box of a control plane outside all clusters, and the mark of its gateway."""
    x, y = layout.boxes[plane.box]
    axes.add_patch(
        FancyBboxPatch(
            (x + 0.03, y + 0.03), layout.box - 0.06, _BOX - 0.06, boxstyle="round,pad=0.03", fc="white", ec="#333333",
            lw=0.8, ls=(0, (4, 2)), gid=f"outside {plane.name}", zorder=2,
        )
    )  # fmt: skip
    room = (layout.box - 0.24) * 72
    name = _fit(plane.name, style.SMALL, room, 1.14)
    axes.text(x + 0.14, y + _BOX - 0.07, name, va="top", fontsize=style.SMALL, weight="bold", zorder=4)
    where = next(words for words in _OUTSIDE if text_width(words, style.SMALL) <= room or words == _OUTSIDE[-1])
    axes.text(x + 0.14, y + _BOX - 0.23, where, va="top", fontsize=style.SMALL, zorder=4)
    if plane.entrance:
        _draw_gateway(axes, layout, plane.box, "black")


def _draw_gateway(axes: Axes, layout: _Layout, box: str, face: str) -> None:
    x, y = layout.boxes[box]
    gid = f"gateway {box}"
    axes.plot([x + layout.box], [y + 0.14], marker="D", ms=6, mfc=face, mec="black", mew=1.0, zorder=5, gid=gid)


def _draw_plane(axes: Axes, layout: _Layout, plane: Plane, track: int) -> None:
    """Draw the hexagon in the home cluster and, through the gutters so that no box is crossed, lines to all others."""
    colour = _CONTROLS[track % len(_CONTROLS)]
    x, y = layout.boxes[plane.box]
    out = x + layout.box - 0.26
    # Each control plane has its own track, so that lines never lie on each other.
    drop, side = 0.14 + 0.05 * (track % 4), 0.04 + 0.03 * (track % 4)
    others = [cluster for cluster in layout.boxes if cluster in plane.serves and cluster != plane.home]
    for cluster in others:
        to_x, to_y = layout.boxes[cluster]
        into = to_x + 0.28 + 0.05 * (track % 4)
        path = [(out, y), (out, y - drop)]
        if abs(to_y - y) > 1e-9:
            path += [(side, y - drop), (side, to_y - drop)]
        path += [(into, to_y - drop)]
        dashes = _DIRECT if cluster in plane.direct else "-"
        axes.plot(*zip(*path, strict=True), color=colour, lw=1.3, ls=dashes, zorder=3, solid_joinstyle="round")
        axes.annotate(
            "", (into, to_y + 0.01), (into, to_y - drop - 0.008), zorder=3,
            arrowprops={
                "arrowstyle": "-|>", "color": colour, "lw": 1.3, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9,
            },
            gid=f"controls {plane.name} {cluster}",
        )  # fmt: skip
    face = colour if not plane.home or plane.home in plane.serves else "white"
    axes.plot([out], [y], marker="h", ms=13, mfc=face, mec="black", mew=0.8, zorder=6, gid=f"plane {plane.name}")


def _fit(text: str, size: float, room: float, factor: float) -> str:
    """Return the text, its middle cut out to fit the room (points): clusters often differ in their last letters only.

    ``factor`` is how much wider than regular its weight is.
    """
    shown, keep = text, len(text)
    while keep > 4 and text_width(shown, size) * factor > room:
        keep -= 1
        shown = text[: keep - keep // 2] + "…" + text[len(text) - keep // 2 :]
    return shown


def _networks(plans: Sequence[Plan]) -> list[str]:
    return list(dict.fromkeys(network for plan in plans for network in plan.networks.values()))


def _legend(plans: Sequence[Plan]) -> list[Any]:
    def mark(marker: str, size: float, face: str, label: str) -> Line2D:
        return Line2D([], [], ls="", marker=marker, ms=size, mfc=face, mec="black", label=label)

    items: list[Any] = [
        Patch(fc=_FILLS[i % 5][0], hatch=_FILLS[i % 5][1], ec="#777777", label=f"network {short(name, 20)}")
        for i, name in enumerate(_networks(plans))
    ]
    planes = [plane for plan in plans for plane in plan.planes]
    if any(plan.gateways for plan in plans):
        items.append(mark("D", 6, "white", "east-west gateway"))
    at_home = ", in the cluster it runs in and serves" if any(plane.home for plane in planes) or not planes else ""
    items.append(mark("h", 10, _CONTROLS[0], f"control plane{at_home}"))
    if any(plane.home and plane.home not in plane.serves for plane in planes):
        items.append(mark("h", 10, "white", "control plane that only serves others"))
    if any(not plane.home for plane in planes):
        items.append(Patch(fc="white", ec="#333333", ls=(0, (4, 2)), label="control plane outside all clusters"))
    if any(plane.entrance for plane in planes):
        items.append(mark("D", 6, "black", "its gateway"))
    others = {(plane.name, one, one in plane.direct) for plane in planes for one in plane.serves if one != plane.home}
    for direct, words in ((False, "controls another cluster"), (True, "controls another cluster, directly")):
        if any(found[2] == direct for found in others):
            dashes = _DIRECT if direct else "-"
            items.append(Line2D([], [], color=_CONTROLS[0], lw=1.3, ls=dashes, marker=">", ms=5, label=words))
    return items


def read(graph: nx.MultiDiGraph[Any]) -> Plan:
    """Return what the picture needs of a graph, in the order of the graph, which is that of the scenario file.

    Parameters
    ----------
    graph
        Graph of a deployment, as `meshsim.mesh.graph.build` makes it.

    Examples
    --------
    >>> import networkx
    >>> graph = networkx.MultiDiGraph()
    >>> graph.add_node("cluster:eu-1", kind="cluster", name="eu-1", region="eu", network="default")
    >>> read(graph).regions
    {'eu': ('eu-1',)}
    """
    kinds = dict(graph.nodes(data="kind"))
    names = {node: str(data.get("name", node)) for node, data in graph.nodes(data=True)}
    clusters = [node for node, kind in kinds.items() if kind == "cluster"]
    regions: dict[str, list[str]] = {}
    for node in clusters:
        regions.setdefault(_region(graph, str(graph.nodes[node].get("region", ""))), []).append(names[node])
    planes = tuple(_plane(graph, node) for node, kind in kinds.items() if kind == "control-plane")
    return Plan(
        {region: tuple(found) for region, found in regions.items()},
        {names[node]: str(graph.nodes[node].get("network", "")) for node in clusters},
        frozenset(names[node] for node in clusters if any(
            graph.nodes[hosted].get("role") == "east-west" for hosted in _targets(graph, node, "hosts")
        )),
        planes,
    )  # fmt: skip


def _plane(graph: nx.MultiDiGraph[Any], node: str) -> Plane:
    data = graph.nodes[node]
    paths = {
        str(graph.nodes[to]["name"]): edge.get("path", "")
        for _, to, edge in graph.out_edges(node, data=True)
        if edge["kind"] == "controls"
    }
    direct = frozenset(cluster for cluster, path in paths.items() if path == "direct")
    name = str(data["name"])
    region = _region(graph, str(data.get("region", "")))
    return Plane(name, str(data["home"]), tuple(paths), direct, f"gateway:{name}/entrance" in graph, region)


def _region(graph: nx.MultiDiGraph[Any], region: str) -> str:
    cloud = graph.nodes.get(f"region:{region}", {}).get("cloud_region", "")
    return f"{region} ({cloud})" if cloud else region


def _targets(graph: nx.MultiDiGraph[Any], node: str, kind: str) -> list[str]:
    return [to for _, to, found in graph.out_edges(node, data="kind") if found == kind]
