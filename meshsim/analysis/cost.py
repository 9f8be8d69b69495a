"""What a month like each phase costs: control planes, sidecars, gateways, and bytes between zones and regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from meshsim.analysis.grid import Grid, Rows, Values, over, runs
from meshsim.analysis.hops import NOWHERE, Hops, hops, looked_up
from meshsim.analysis.phases import Phase
from meshsim.analysis.prices import Price, Prices
from meshsim.mesh.deployment import ControlPlane, control_planes
from meshsim.scenario.schema import Autoscale, Compute, Document, EastWestGateway, Gateway, Sidecar

if TYPE_CHECKING:
    import pandas as pd

#: Hours of a month, as price lists count.
MONTH = 730.0

#: Bytes of a GB on its way (as written), and of a GiB of memory.
GB, GIB = 1e9, 1024.0**3

Part = Literal["cross_region", "cross_zone", "sidecars", "gateways", "control_planes"]
Resource = Literal["cpu", "memory", "transfer"]

PARTS: tuple[Part, ...] = ("cross_region", "cross_zone", "sidecars", "gateways", "control_planes")

#: Of what a price is, and its unit.
UNITS: dict[Resource, str] = {"cpu": "vCPU-hours", "memory": "GiB-hours", "transfer": "GB"}

#: What a proxy needs, by the first Istio version whose document says so: vCPU for 1000 requests/s, and bytes of memory.
#: istio.io, Performance and Scalability, editions 1.20 and 1.24; versions between and after have the edition before.
PUBLISHED = {(1, 20): (0.50, 50e6), (1, 24): (0.20, 60e6)}


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the bill, in every run and span of a grid.

    Parameters
    ----------
    part
        Of the bill.
    place
        Cluster, control plane, or ``region → region``.
    resource
        What is paid for; `UNITS` has its unit.
    price
        Of one unit.
    reserved, used
        Units a month: what the pods request, and what was measured. Of transfer, nothing is reserved.
    """

    part: Part
    place: str
    resource: Resource
    price: Price
    reserved: Values
    used: Values

    @property
    def quantity(self) -> Values:
        """Units a month that are paid: the larger of both, as nobody else can have what is requested, or in use."""
        return np.asarray(np.maximum(self.reserved, self.used), dtype=float)


def measures(tables: Mapping[str, pd.DataFrame], grid: Grid, document: Document) -> Iterator[tuple[str, str, Values]]:
    """Return the metrics of cost, USD a month, in the shape of a grid.

    Parameters
    ----------
    tables
        Of a run.
    grid
        Runs and spans. Each span is scaled to a month.
    document
        The scenario that was run: its prices, places and versions.
    """
    lines = list(items(tables, grid, document))
    parts = {part: _sum(grid, [line for line in lines if line.part == part], "quantity") for part in PARTS}
    for part, dollars in parts.items():
        yield f"cost_{part}", "all", dollars
    yield "cost", "all", np.asarray(sum(parts.values()), dtype=float)
    computing = [line for line in lines if line.resource != "transfer"]
    yield "cost_reserved", "all", _sum(grid, computing, "reserved")
    yield "cost_used", "all", _sum(grid, computing, "used")


def breakdown(tables: Mapping[str, pd.DataFrame], spans: Sequence[Phase], document: Document) -> pd.DataFrame:
    """Return the bill line by line: what is paid for, where, how much of it, at which price from which source.

    Returns
    -------
    pandas.DataFrame
        Columns ``deployment, phase, part, place, resource, unit, reserved, used, quantity, price, usd, source, doubt``;
        quantities and USD are means over replications, per month. A line that is zero everywhere is left out.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> breakdown(concatenate([]), [Phase("all", 0.0, 5.0)], Document.model_validate(EXAMPLE)).columns.tolist()[:4]
    ['deployment', 'phase', 'part', 'place']
    """
    import pandas as pd

    compared = runs(tables)
    rows = []
    for line in items(tables, over(compared, spans), document):
        paid = line.quantity
        for deployment in dict.fromkeys(name for name, _ in compared):
            own = [name == deployment for name, _ in compared]
            for at, phase in enumerate(spans):
                reserved, used, quantity = (float(x[own, at].mean()) for x in (line.reserved, line.used, paid))
                if quantity != 0.0:
                    price = line.price
                    what = (line.part, line.place, line.resource, UNITS[line.resource], reserved, used, quantity)
                    rows.append(
                        (deployment, phase.name, *what, price.usd, quantity * price.usd, price.source, price.doubt)
                    )
    columns = ["deployment", "phase", "part", "place", "resource", "unit", "reserved", "used", "quantity", "price"]
    return pd.DataFrame(rows, columns=[*columns, "usd", "source", "doubt"])


def doubts(document: Document) -> tuple[str, ...]:
    """Return why prices of a scenario may not be what is paid, one line for each reason.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> doubts(Document.model_validate({**EXAMPLE, "cost": {"cpu": 0.03, "memory": 0.004}}))
    ('prices: eu without cloud_region (0.01 USD a GB between zones)',)
    """
    prices = Prices(document)
    inhabited = [name for name in document.regions if name in {body.region for body in document.clusters.values()}]
    taken: list[tuple[Price, str]] = []
    for region in inhabited:
        taken.append((prices.cpu(region), "a vCPU-hour"))
        taken.append((prices.memory(region), "a GiB-hour"))
        taken.append((prices.between_zones(region), "a GB between zones"))
        others = [other for other in inhabited if other != region]
        taken += [(prices.between_regions(region, other), f"a GB to {other}") for other in others]
    found: dict[str, list[str]] = {}
    for price, of in taken:
        if price.doubt:
            found.setdefault(price.doubt, []).append(f"{price.usd:g} USD {of}")
    return tuple(f"prices: {doubt} ({', '.join(dict.fromkeys(used))})" for doubt, used in found.items())


def items(tables: Mapping[str, pd.DataFrame], grid: Grid, document: Document) -> Iterator[Item]:
    """Return the lines of the bill.

    Parameters
    ----------
    tables, grid, document
        As of `measures`.
    """
    bill = _Bill(tables, grid, document, Prices(document))
    yield from bill.transfer()
    yield from bill.sidecars()
    yield from bill.gateways("ingress")
    yield from bill.gateways("east-west")
    yield from bill.control_planes()


def published(version: str) -> tuple[float, float]:
    """Return what Istio publishes of a proxy: vCPU for 1000 requests/s, and bytes of memory.

    Parameters
    ----------
    version
        Istio's, as of a scenario.

    Examples
    --------
    >>> published("1.23"), published("1.31")
    ((0.5, 50000000.0), (0.2, 60000000.0))
    """
    major, minor = (int(part) for part in version.split("."))
    return PUBLISHED[max(edition for edition in PUBLISHED if edition <= (major, minor))]


def price_between(document: Document, prices: Prices, source: int, destination: int) -> tuple[Price, str]:
    """Return the price of a GB from one region to another; where one is not known, the dearest that it can be.

    Parameters
    ----------
    document, prices
        The scenario, and its prices.
    source, destination
        Numbers of the regions, of which one may be `meshsim.analysis.hops.NOWHERE`.

    Returns
    -------
    tuple
        The price, and ``region → region``.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> document = Document.model_validate({**EXAMPLE, "regions": {"eu": {}, "us": {}}})
    >>> [price_between(document, Prices(document), 0, to)[1] for to in (1, NOWHERE)]
    ['eu → us', 'eu → elsewhere']
    """
    regions = list(document.regions)
    names = {NOWHERE: "elsewhere"} | dict(enumerate(regions))
    place = f"{names[source]} → {names[destination]}"
    if NOWHERE not in {source, destination}:
        return prices.between_regions(names[source], names[destination]), place
    known = regions[source if destination == NOWHERE else destination]
    pairs = [(known, one) if destination == NOWHERE else (one, known) for one in regions]
    found = max((prices.between_regions(*pair) for pair in pairs), key=lambda price: price.usd)
    return Price(found.usd, found.source, "it is not known to which region; the dearest is taken"), place


def charged(
    flow: pd.Series, ends: Hops, document: Document, prices: Prices
) -> Iterator[tuple[Part, Rows, tuple[Price, str], tuple[Price, str]]]:
    """Yield part of the bill, its rows of the table of calls, and price of a GB and place of requests and responses.

    Parameters
    ----------
    flow, ends
        Of the table's rows.
    document, prices
        The scenario, and its prices.
    """
    near, far = ((flow == one).to_numpy(dtype=bool) for one in ("cross-zone", "cross-region"))
    for number in np.unique(ends.source[near]).tolist():
        region = ends.regions[number]
        each = prices.between_zones(region), region
        yield "cross_zone", near & (ends.source == number), each, each
    for a, b in np.unique(np.stack([ends.source[far], ends.destination[far]], axis=1), axis=0).tolist():
        there, back = (price_between(document, prices, *pair) for pair in ((a, b), (b, a)))
        yield "cross_region", far & (ends.source == a) & (ends.destination == b), there, back


class _Pods(NamedTuple):
    """Pods of one kind in one place: how many are paid for, and the cores and bytes that they use together."""

    part: Part
    place: str
    region: str
    request: Compute
    replicas: Values
    cores: Values
    bytes: Values


@dataclass(frozen=True, slots=True)
class _Bill:
    """What a bill is made from."""

    tables: Mapping[str, pd.DataFrame]
    grid: Grid
    document: Document
    prices: Prices

    def transfer(self) -> Iterator[Item]:
        """Yield bytes between zones of each region, and between two regions; requests go one way, responses back."""
        calls, grid = self.tables["calls"], self.grid.counted
        ends, cells, nothing = hops(calls, self.document), grid.cells(calls), np.zeros(grid.shape)
        there, back = (calls[f"{which}_bytes"].to_numpy(dtype=float) for which in ("request", "response"))

        def monthly(moved: Rows, where: Rows) -> Values:
            gigabytes = grid.total(cells, moved, where) / GB
            return np.divide(gigabytes * MONTH * 3600.0, grid.lengths, out=gigabytes * np.nan, where=grid.lengths > 0)

        for part, where, out, home in charged(calls["flow"], ends, self.document, self.prices):
            if part == "cross_zone":
                yield Item(part, out[1], "transfer", out[0], nothing, monthly(there + back, where))
                continue
            for (price, place), moved in ((out, there), (home, back)):
                yield Item(part, place, "transfer", price, nothing, monthly(moved, where))

    def sidecars(self) -> Iterator[Item]:
        """Yield CPU and memory of sidecars, by cluster; of a pod that is lost another will come."""
        settings, alive, busy = self.document.sidecar, *self._proxies("sidecar")
        pods = self.tables["pods"]
        wanted = self._by_cluster(self.grid, pods, pods["desired_seconds"].to_numpy(dtype=float)) / self.grid.lengths
        for at, (cluster, body) in enumerate(self.document.clusters.items()):
            paid = np.maximum(alive[at], wanted[at]) if settings.enabled else alive[at]
            cores, bytes_ = busy[at] * self._correction(settings), alive[at] * self._memory()
            request = self.document.cost.sidecar
            yield from self._computing(_Pods("sidecars", cluster, body.region, request, paid, cores, bytes_))

    def gateways(self, kind: Literal["ingress", "east-west"]) -> Iterator[Item]:
        """Yield CPU and memory of gateways, by cluster; one that is down is paid for all the same."""
        alive, busy = self._proxies(kind)
        for at, (cluster, body) in enumerate(self.document.clusters.items()):
            if kind == "ingress":
                settings = self.document.ingress.get(cluster, Gateway())
            else:
                settings = self.document.gateways.get(cluster, EastWestGateway())
            exists = alive[at].sum(axis=1, keepdims=True) > 0
            paid = np.maximum(alive[at], _least(settings.replicas, settings.autoscale) * exists)
            cores, bytes_ = busy[at] * self._correction(settings), alive[at] * self._memory()
            place, request = f"{cluster} {kind}", self.document.cost.gateway
            yield from self._computing(_Pods("gateways", place, body.region, request, paid, cores, bytes_))

    def control_planes(self) -> Iterator[Item]:
        """Yield CPU and memory of istiod, by control plane, and of the gateways of those outside all clusters."""
        compared, shape = [name for name, _ in self.grid.runs], self.grid.shape
        strange = np.array([[name not in self.document.deployments] for name in compared], dtype=bool)
        if strange.any():  # nothing is known of their control planes, which is not the same as nothing to pay
            unknown = np.where(strange, np.full(shape, np.nan), 0.0)
            yield Item("control_planes", "not in the scenario", "cpu", Price(0.0, ""), unknown, unknown)
        for deployment in dict.fromkeys(name for name in compared if name in self.document.deployments):
            mine = np.repeat([[name == deployment] for name in compared], shape[1], axis=1)
            for plane in control_planes(self.document, deployment):
                yield from self._control_plane(deployment, plane, mine)

    def _control_plane(self, deployment: str, plane: ControlPlane, mine: Rows) -> Iterator[Item]:
        rows, grid, cost = self.tables["control_planes"], self.grid, self.document.cost
        rows = rows[((rows["deployment"] == deployment) & (rows["control_plane"] == plane.name)).to_numpy(dtype=bool)]
        ready, cells = rows["ready_seconds"].to_numpy(dtype=float), grid.cells(rows)
        cores = grid.total(cells, rows["cpu_seconds"].to_numpy(dtype=float)) / grid.lengths
        bytes_ = grid.total(cells, rows["memory_bytes"].to_numpy(dtype=float) * ready) / grid.lengths
        least = _least(plane.replicas, self.document.istiod.autoscale)
        paid = np.where(mine, np.maximum(grid.total(cells, ready) / grid.lengths, least), 0.0)
        place = f"{plane.name} ({deployment})"
        yield from self._computing(_Pods("control_planes", place, plane.region, cost.istiod, paid, cores, bytes_))
        if plane.entrance:
            paid, nothing = np.where(mine, float(plane.gateway_replicas), 0.0), np.zeros(grid.shape)
            place = f"gateway of {place}"
            yield from self._computing(
                _Pods("control_planes", place, plane.region, cost.gateway, paid, nothing, nothing)
            )

    def _computing(self, pods: _Pods) -> Iterator[Item]:
        """Yield CPU and memory of pods."""
        price, reserved = self.prices.cpu(pods.region), pods.replicas * pods.request.cpu
        yield Item(pods.part, pods.place, "cpu", price, reserved * MONTH, pods.cores * MONTH)
        price, reserved = self.prices.memory(pods.region), pods.replicas * pods.request.memory / GIB
        yield Item(pods.part, pods.place, "memory", price, reserved * MONTH, pods.bytes / GIB * MONTH)

    def _proxies(self, kind: str) -> tuple[Values, Values]:
        """Return how many proxies of one kind there are, and how many of their worker threads are busy, by cluster."""
        table = self.tables["proxies"]
        table = table[(table["kind"] == kind).to_numpy(dtype=bool)]
        alive = self._by_cluster(self.grid, table, table["proxy_seconds"].to_numpy(dtype=float))
        busy = self._by_cluster(self.grid.counted, table, table["busy_seconds"].to_numpy(dtype=float))
        lengths = self.grid.counted.lengths
        return alive / self.grid.lengths, np.divide(busy, lengths, out=busy * np.nan, where=lengths > 0)

    def _by_cluster(self, grid: Grid, table: pd.DataFrame, values: Rows) -> Values:
        """Return sums by cluster and cell of a grid; shape of the clusters, then of the grid."""
        names = {name: at for at, name in enumerate(self.document.clusters)}
        codes, cells, size = looked_up(table["cluster"], names), grid.cells(table), int(np.prod(grid.shape))
        keep = (cells >= 0) & (codes != NOWHERE)
        flat = np.bincount(codes[keep] * size + cells[keep], weights=values[keep], minlength=len(names) * size)
        return np.asarray(flat, dtype=float).reshape(len(names), *grid.shape)

    def _correction(self, settings: Sidecar | Gateway) -> float:
        """Return by how much the CPU measured is to be multiplied, for an Istio whose proxies need more for a request.

        What the scenario says other than the default counts as it is: a resolved scenario does not tell a default that
        was written from one that was not. So does an east-west gateway, of which nothing is published.
        """
        default = type(settings).model_fields["cpu"].default
        if isinstance(settings, EastWestGateway) or settings.cpu != default:
            return 1.0
        return published(self.document.istio_version)[0] / (1000.0 * float(default))

    def _memory(self) -> float:
        """Return the bytes that a proxy uses."""
        own = self.document.cost.proxy_memory
        return published(self.document.istio_version)[1] if own is None else own


def _least(replicas: int, autoscale: Autoscale | None) -> int:
    """Return the replicas that there always are."""
    return replicas if autoscale is None else autoscale.min_replicas or replicas


def _sum(grid: Grid, lines: Sequence[Item], which: Literal["quantity", "reserved", "used"]) -> Values:
    total = np.zeros(grid.shape)
    for line in lines:
        total = total + getattr(line, which) * line.price.usd
    return total
