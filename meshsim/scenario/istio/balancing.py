"""How a client proxy chooses a host: hashing, slow start, and its preference for near endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: How a host is picked (spec §2.1-2.5): LEAST_REQUEST, ROUND_ROBIN, RANDOM, RING_HASH, MAGLEV, PASSTHROUGH (which dials
#: the address that the application asked for), or the name of a balancer of the user's own.
LoadBalancer = str
HashKind = Literal["header", "cookie", "source_ip", "query", "none"]

#: Istio's names of the labels that every endpoint and proxy carries (spec §2.9; registry/util/label).
NETWORK_LABEL = "topology.istio.io/network"
CLUSTER_LABEL = "topology.istio.io/cluster"
REGION_LABEL = "topology.kubernetes.io/region"
ZONE_LABEL = "topology.kubernetes.io/zone"
SUBZONE_LABEL = "topology.istio.io/subzone"
HOSTNAME_LABEL = "kubernetes.io/hostname"

#: What ``trafficDistribution`` of a Service stands for (spec §2.9 (d); loadbalancer.go).
SAME_ZONE = (NETWORK_LABEL, REGION_LABEL, ZONE_LABEL)
SAME_NODE = (*SAME_ZONE, SUBZONE_LABEL, HOSTNAME_LABEL)
TRAFFIC_DISTRIBUTION = {"PreferClose": SAME_ZONE, "PreferSameZone": SAME_ZONE, "PreferSameNode": SAME_NODE}


@dataclass(frozen=True, slots=True)
class HashPolicy:
    """What RING_HASH and MAGLEV hash (spec §2.5; loadBalancer.consistentHash, loadbalancer.go).

    Parameters
    ----------
    kind
        Where the key of a request is: a header, a cookie, the client's address, a query parameter; ``none`` if the
        resource does not say, so that every request is as one without a key: picked at random.
    name
        Name of the header, cookie or parameter.
    minimum_ring_size
        Fewest entries of the ring (RING_HASH). Default 1024 (Istio and Envoy).
    table_size
        Entries of the table (MAGLEV), a prime. Default 65537 (Envoy).
    ttl
        Seconds a generated cookie lives; 0 = a session; None = a request without the cookie gets none. Default None.

    Examples
    --------
    >>> HashPolicy("header", "x-user").minimum_ring_size
    1024
    """

    kind: HashKind
    name: str = ""
    minimum_ring_size: int = 1024
    table_size: int = 65537
    ttl: float | None = None


@dataclass(frozen=True, slots=True)
class Warmup:
    """Slow start of new hosts, of ROUND_ROBIN and LEAST_REQUEST only (spec §2.5; loadBalancer.warmup).

    Parameters
    ----------
    duration
        Seconds until a host has its whole weight.
    minimum_percent
        Percent of the weight that a new host starts with. Default 10.
    aggression
        1 = the weight grows linearly; larger = faster at first. Default 1.

    Examples
    --------
    >>> Warmup(30.0).minimum_percent
    10.0
    """

    duration: float
    minimum_percent: float = 10.0
    aggression: float = 1.0


@dataclass(frozen=True, slots=True)
class Locality:
    """How a proxy prefers near endpoints (spec §2.9; localityLbSetting).

    Parameters
    ----------
    enabled
        False switches all of it off. Default true, without effect unless outlier detection is on or `distribute` set.
    failover
        (from region, to region) pairs, in the order of the resource. Default none.
    failover_priority
        Labels, or ``label=value``, compared in order. Default none.
    distribute
        (from locality, ((to locality, percent), …)) in the order of the resource. Default none.
    forced
        True where the Service's ``trafficDistribution`` asks for it: priorities then need no outlier detection.

    Examples
    --------
    >>> Locality(failover=(("eu", "us"),)).failover
    (('eu', 'us'),)
    """

    enabled: bool = True
    failover: tuple[tuple[str, str], ...] = ()
    failover_priority: tuple[str, ...] = ()
    distribute: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = ()
    forced: bool = False


@dataclass(frozen=True, slots=True)
class ZoneAware:
    """Envoy's own zone-aware routing within the client's region (spec §2.8; zoneAwareLbSetting, from Istio 1.31).

    Parameters
    ----------
    failover, failover_priority
        Order of the other regions, as of `Locality`. Default none.
    min_cluster_size
        Healthy hosts of priority 0 below which zones are ignored. Default 6.
    self_discovery
        Whether proxies know the hosts of their own service (proxyMetadata ISTIO_META_ENABLE_SELF_DISCOVERY); without
        it Envoy ignores zones, and the priorities by region remain. Default false.

    Examples
    --------
    >>> ZoneAware().min_cluster_size
    6
    """

    failover: tuple[tuple[str, str], ...] = ()
    failover_priority: tuple[str, ...] = ()
    min_cluster_size: int = 6
    self_discovery: bool = False
