"""Round-trip times between any two zones: the shipped table, estimates where it is silent, and the user's overrides."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from meshsim.errors import Problem, ScenarioError, did_you_mean
from meshsim.mesh.deployment import control_planes
from meshsim.mesh.placement import Zone
from meshsim.scenario.fields import Constant, Lognormal, Percentiles
from meshsim.scenario.schema import Document, LinkOverride
from meshsim.scenario.selectors import outside_of

#: Estimated median between two regions (seconds, and seconds per km), fitted to the AWS rows: docs/parameters.md.
BASE = 6.1e-3
PER_KM = 0.0169e-3

#: Median to 95th percentile, as in the AWS rows: 3.6 ms more, but at most a quarter more on short links.
SPREAD = 3.6e-3
SPREAD_RATIO = 1.25

EARTH_RADIUS_KM = 6371.0
_MS = 1e-3

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Round-trip time of one pair of zones.

    Parameters
    ----------
    p50, p99
        Median and 99th percentile, seconds; a lognormal runs through both.
    source
        Where the figures come from, in words.
    """

    p50: float
    p99: float
    source: str


@dataclass(frozen=True, slots=True)
class CloudRegion:
    """A region of the shipped coordinate table; latitude and longitude in degrees."""

    cloud: str
    name: str
    place: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Links:
    """Round-trip times between the zones of a mesh; pairs without a figure, where nothing runs, are left out."""

    _pairs: Mapping[tuple[Zone, Zone], RoundTrip] = field(repr=False)

    def between(self, zone_a: Zone, zone_b: Zone) -> RoundTrip | None:
        """Return the round trip between two zones, whichever is named first; None for a pair without a figure.

        Parameters
        ----------
        zone_a, zone_b
            ``(region, zone)``; both may be the same.

        Examples
        --------
        >>> links = Links({(("eu", "a"), ("eu", "b")): RoundTrip(0.001, 0.002, "measured")})
        >>> links.between(("eu", "b"), ("eu", "a")).p50, links.between(("eu", "a"), ("spare", "a"))
        (0.001, None)
        """
        return self._pairs.get((zone_a, zone_b) if zone_a <= zone_b else (zone_b, zone_a))

    def items(self) -> Iterator[tuple[Zone, Zone, RoundTrip]]:
        """Yield every pair once, the zone that sorts first in front.

        Examples
        --------
        >>> list(Links({}).items())
        []
        """
        for (zone_a, zone_b), trip in self._pairs.items():
            yield zone_a, zone_b, trip


def round_trip(document: Document) -> Links:
    """Return the round-trip times between the zones of a scenario, as far as they have a figure.

    Parameters
    ----------
    document
        The scenario. An override of zones beats one of regions; among equals the later one wins.

    Raises
    ------
    ScenarioError
        If two regions where something runs have no figure; see `missing_links`.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> regions = {"eu": {"cloud_region": "aws:eu-west-1"}, "us": {"cloud_region": "aws:us-east-1"}}
    >>> document = Document.model_validate({**EXAMPLE, "regions": regions})
    >>> trip = round_trip(document).between(("eu", "a"), ("us", "a"))
    >>> round(trip.p50, 3), trip.source
    (0.07, 'cloudping, 2024-04-19')
    """
    problems = missing_links(document)
    if problems:
        raise ScenarioError([Problem(message, ".".join(map(str, path))) for path, message in problems])
    zones = sorted((region, zone) for region, body in document.regions.items() for zone in body.zones)
    pairs = {}
    for i, zone_a in enumerate(zones):
        for zone_b in zones[i:]:
            trip = _overridden(document, zone_a, zone_b) or _known(document, zone_a, zone_b)
            if trip is not None:
                pairs[zone_a, zone_b] = trip
    return Links(pairs)


def missing_links(document: Document) -> list[tuple[Path, str]]:
    """Return what keeps `round_trip` from knowing every link, as places in the document and messages.

    Parameters
    ----------
    document
        The scenario. Regions where nothing runs need no links: no cluster, no control plane outside all clusters and
        no endpoint of a ServiceEntry or WorkloadEntry.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> document = Document.model_validate({**EXAMPLE, "regions": {"eu": {"cloud_region": "aws:eu-west-11"}}})
    >>> path, message = missing_links(document)[0]
    >>> ".".join(path), message.split(" (one of")[0]
    ('regions.eu.cloud_region', "no cloud region 'aws:eu-west-11'; did you mean 'aws:eu-west-1'?")
    """
    problems: list[tuple[Path, str]] = []
    unknown = []
    for name, region in document.regions.items():
        if region.cloud_region is not None and cloud_region(region.cloud_region) is None:
            unknown.append(name)
            problems.append((("regions", name, "cloud_region"), _unknown_region(region.cloud_region)))
    inhabited = {cluster.region for cluster in document.clusters.values()}
    inhabited |= {plane.region for name in document.deployments for plane in control_planes(document, name)}
    inhabited |= {outside.region for name in document.services for outside in outside_of(document, name).values()}
    used = [name for name in document.regions if name in inhabited and name not in unknown]
    missing = [(a, b) for i, a in enumerate(used) for b in used[i + 1 :] if _is_missing(document, a, b)]
    return [*problems, *((("latency",), _no_figure(document, a, b)) for a, b in missing)]


def estimate(a: CloudRegion, b: CloudRegion) -> RoundTrip:
    """Return the round trip that the great-circle distance between two cloud regions suggests.

    Parameters
    ----------
    a, b
        Two different regions, of any cloud.

    Examples
    --------
    >>> dublin = CloudRegion("aws", "eu-west-1", "Ireland", 53.0, -8.0)
    >>> taiwan = CloudRegion("gcp", "asia-east1", "Taiwan", 23.7, 120.96)
    >>> estimate(dublin, taiwan).source
    'estimated from 10170 km between aws:eu-west-1 and gcp:asia-east1'
    """
    kilometres = _kilometres(a, b)
    p50 = BASE + PER_KM * kilometres
    sigma = math.log(min(p50 + SPREAD, p50 * SPREAD_RATIO) / p50) / Percentiles.Z["p95"]
    source = f"estimated from {kilometres:.0f} km between {a.cloud}:{a.name} and {b.cloud}:{b.name}"
    return RoundTrip(p50, p50 * math.exp(sigma * Percentiles.Z["p99"]), source)


def _kilometres(a: CloudRegion, b: CloudRegion) -> float:
    """Great-circle distance (haversine formula on a sphere)."""
    north_a, north_b = math.radians(a.latitude), math.radians(b.latitude)
    east = math.radians(b.longitude - a.longitude)
    h = math.sin((north_b - north_a) / 2) ** 2 + math.cos(north_a) * math.cos(north_b) * math.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(h))


def _overridden(document: Document, zone_a: Zone, zone_b: Zone) -> RoundTrip | None:
    best, best_rank = None, -1
    for number, override in enumerate(document.latency):
        rank = max(_rank(override, zone_a, zone_b), _rank(override, zone_b, zone_a))
        if rank >= 0 and rank >= best_rank:
            best, best_rank = _as_round_trip(override, f"latency.{number}"), rank
    return best


def _rank(override: LinkOverride, zone_a: Zone, zone_b: Zone) -> int:
    """Count the ends an override names by zone; -1 where it does not apply."""
    rank = 0
    for place, (region, zone) in zip(override.between, (zone_a, zone_b), strict=True):
        if place == f"{region}/{zone}":
            rank += 1
        elif place != region:
            return -1
    return rank


def _as_round_trip(override: LinkOverride, where: str) -> RoundTrip:
    match override.rtt:
        case Lognormal(lognormal=percentiles):
            p99 = percentiles.p50 * math.exp(percentiles.sigma * Percentiles.Z["p99"])
            return RoundTrip(percentiles.p50, p99, f"override at {where}")
        case Constant(constant=seconds):
            return RoundTrip(seconds, seconds, f"override at {where}")
    raise AssertionError(f"{where}: the schema admits no other distribution here")


def _known(document: Document, zone_a: Zone, zone_b: Zone) -> RoundTrip | None:
    """Figure for two zones without looking at overrides; None where there is none."""
    table = _table()
    if zone_a == zone_b:
        return table["any", "zone", "same zone"]
    if zone_a[0] == zone_b[0]:
        return table["any", "zone", "another zone of the region"]
    return _between_regions(document, zone_a[0], zone_b[0])


def _between_regions(document: Document, name_a: str, name_b: str) -> RoundTrip | None:
    a, b = (cloud_region(document.regions[name].cloud_region) for name in (name_a, name_b))
    if a is None or b is None:
        return None
    if a == b:
        trip = _table()["any", "zone", "another zone of the region"]
        return RoundTrip(trip.p50, trip.p99, f"{trip.source} (both regions are {a.cloud}:{a.name})")
    if a.cloud == b.cloud:
        first, second = sorted((a.name, b.name))
        figure = _table().get((a.cloud, first, second))
        if figure is not None:
            return figure
    return estimate(a, b)


def _is_missing(document: Document, name_a: str, name_b: str) -> bool:
    if _between_regions(document, name_a, name_b) is not None:
        return False
    return any(
        _overridden(document, (name_a, zone_a), (name_b, zone_b)) is None
        for zone_a in document.regions[name_a].zones
        for zone_b in document.regions[name_b].zones
    )


def _no_figure(document: Document, name_a: str, name_b: str) -> str:
    without = [f"'{name}'" for name in (name_a, name_b) if document.regions[name].cloud_region is None]
    return (
        f"no round-trip time between regions '{name_a}' and '{name_b}'; give {' and '.join(without)} a cloud_region, "
        f"or add {{between: [{name_a}, {name_b}], rtt: 30ms}} under latency"
    )


def _unknown_region(given: str) -> str:
    known = [f"{region.cloud}:{region.name}" for region in _regions().values()]
    cloud = given.partition(":")[0].lower()
    same_cloud = [name for name in known if name.startswith(f"{cloud}:")]
    return f"no cloud region '{given}'{did_you_mean(given, same_cloud or known)}"


def _key(cloud_region: str) -> str:
    """Spelling that does not matter: Azure writes 'West Europe' on pages and 'westeurope' in its API."""
    return cloud_region.lower().replace(" ", "")


def cloud_region(name: str | None) -> CloudRegion | None:
    """Return a region of the shipped table by the name that scenarios use, None for one that it lacks.

    Examples
    --------
    >>> cloud_region("aws:eu-west-1").name, cloud_region("aws:eu-west-11")
    ('eu-west-1', None)
    """
    return None if name is None else _regions().get(_key(name))


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = (files("meshsim.mesh") / "data" / name).read_text(encoding="utf-8")
    yield from csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))


@cache
def _table() -> Mapping[tuple[str, str, str], RoundTrip]:
    table = {}
    for row in _rows("round_trip_times.csv"):
        derived = f", derived: {row['derived']}" if row["derived"] else ""
        source = f"{row['source_of_figure']}, {row['date']}{derived}"
        trip = RoundTrip(float(row["p50_ms"]) * _MS, float(row["p99_ms"]) * _MS, source)
        table[row["cloud"], row["source"], row["destination"]] = trip
    return table


@cache
def _regions() -> Mapping[str, CloudRegion]:
    regions = {}
    for row in _rows("regions.csv"):
        region = CloudRegion(row["cloud"], row["region"], row["place"], float(row["lat"]), float(row["lon"]))
        regions[_key(f"{region.cloud}:{region.name}")] = region
    return regions
