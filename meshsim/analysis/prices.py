"""What a vCPU, a GiB of memory and a GB on its way cost: the scenario's prices, else those of the shipped list."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from meshsim.mesh.links import cloud_region
from meshsim.scenario.schema import Document
from meshsim.scenario.schema_cost import ANY

#: The cloud of list prices for a region without one.
NO_CLOUD = "any"

#: In the list, how sure a price is of which no figure was found.
ASSUMED = "assumed"

_BOTH = "sender and receiver"


@dataclass(frozen=True, slots=True)
class Price:
    """A price in USD, and where it comes from.

    Parameters
    ----------
    usd
        For a vCPU for an hour, a GiB of memory for an hour, or a GB on its way: sender's and receiver's share together.
    source
        In words, with its date; ``cost`` for the scenario's own.
    doubt
        Why it may not be what is paid; empty for none.
    """

    usd: float
    source: str
    doubt: str = ""


class Prices:
    """The prices of a scenario.

    Parameters
    ----------
    document
        The scenario; its `cost` comes first, then the shipped list by its regions' ``cloud_region``.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> regions = {"eu": {"cloud_region": "aws:eu-west-1"}, "us": {"cloud_region": "aws:us-east-1"}}
    >>> prices = Prices(Document.model_validate({**EXAMPLE, "regions": regions}))
    >>> prices.between_regions("eu", "us").usd, prices.between_zones("eu").usd
    (0.02, 0.02)
    """

    def __init__(self, document: Document) -> None:
        self._cost = document.cost
        self._clouds = {name: cloud_region(region.cloud_region) for name, region in document.regions.items()}

    def cpu(self, region: str) -> Price:
        """Return the price of a vCPU for an hour."""
        return self._of_region(region, "cpu", self._cost.cpu)

    def memory(self, region: str) -> Price:
        """Return the price of a GiB of memory for an hour."""
        return self._of_region(region, "memory", self._cost.memory)

    def between_zones(self, region: str) -> Price:
        """Return the price of a GB from one zone of a region to another."""
        return self._of_region(region, "zones", self._cost.between_zones)

    def between_regions(self, source: str, destination: str) -> Price:
        """Return the price of a GB from one region to another.

        Two regions of a scenario in one cloud region are zones of it. From one cloud to another is over the internet.
        """
        given = self._given_pair(source, destination)
        if given is not None:
            return given
        a, b = self._clouds[source], self._clouds[destination]
        if a is not None and a == b:
            return self.between_zones(source)
        if a is None or b is None:
            without = " and ".join(name for name, cloud in ((source, a), (destination, b)) if cloud is None)
            return _listed(NO_CLOUD, "regions", "", "", f"{without} without cloud_region")
        if a.cloud != b.cloud:
            return _listed(a.cloud, "internet", a.name, "", f"from {a.cloud} to {b.cloud} as to the internet")
        return _listed(a.cloud, "regions", a.name, b.name)

    def _of_region(self, region: str, what: str, everywhere: float | None) -> Price:
        own = self._cost.regions.get(region)
        given = getattr(own, "between_zones" if what == "zones" else what) if own is not None else None
        given = everywhere if given is None else given
        if given is not None:
            return self._own(given)
        cloud = self._clouds[region]
        if cloud is None:
            return _listed(NO_CLOUD, what, "", "", f"{region} without cloud_region")
        return _listed(cloud.cloud, what, cloud.name, "")

    def _given_pair(self, source: str, destination: str) -> Price | None:
        found, best = None, -1
        for line in self._cost.between_regions:
            if line.from_ not in {source, ANY} or line.to not in {destination, ANY}:
                continue
            rank = (line.from_ != ANY) + (line.to != ANY)
            if rank >= best:
                found, best = self._own(line.price), rank
        return found

    def _own(self, given: float) -> Price:
        return Price(given * self._cost.exchange_rate, "cost")


def _listed(cloud: str, what: str, source: str, destination: str, doubt: str = "") -> Price:
    """Return a price of the shipped list; of several rows the one that names the places best."""
    for place in _names(cloud, source):
        for other in _names(cloud, destination) if what == "regions" else ("",):
            row = _rows().get((cloud, what, place, other))
            if row is None:
                continue
            usd = float(row["usd"]) * (2 if row["charged_to"] == _BOTH else 1)
            if row["checked"] == ASSUMED:
                doubt = f"no figure for {cloud}:{source}" + (f" to {cloud}:{destination}" if destination else "")
            return Price(usd, f"{row['source']}, {row['date']}", doubt)
    # A cloud without a figure of its own for CPU and memory has the list's default, whose source says what that is.
    doubt = doubt or ("" if what in {"cpu", "memory"} else f"no figure for {cloud}:{source}")
    return _listed(NO_CLOUD, what, "", "", doubt)


def _names(cloud: str, region: str) -> Iterator[str]:
    """Yield a region, its group and what stands for all."""
    if region:
        yield region
        found = next((group for name, group, patterns in _groups() if name == cloud and _any(region, patterns)), None)
        if found is not None:
            yield found
    yield ANY


def _any(region: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(region, pattern) for pattern in patterns)


def read(name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a table that is shipped with this room.

    Examples
    --------
    >>> next(read("prices.csv"))["what"]
    'cpu'
    """
    text = (files("meshsim.analysis") / "data" / name).read_text(encoding="utf-8")
    yield from csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))


@cache
def _rows() -> Mapping[tuple[str, str, str, str], dict[str, str]]:
    return {(row["cloud"], row["what"], row["from"], row["to"]): row for row in read("prices.csv")}


@cache
def _groups() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    return tuple((row["cloud"], row["group"], tuple(row["regions"].split("|"))) for row in read("price_groups.csv"))
