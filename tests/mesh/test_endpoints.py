from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest

from meshsim.mesh.endpoints import GatewayAddress, Gateways, HostView, host_views
from meshsim.mesh.places import Client, Endpoint
from meshsim.scenario.istio.policy import Locality, OutlierDetection, Policy, ZoneAware

FORMATS = Path(__file__).parents[3] / "shared" / "data" / "formats"
FAILOVER = Policy(outlier_detection=OutlierDetection())
NO_GATEWAYS = Gateways.of([])


def pods(*groups: tuple[int, str, str, str, str]) -> list[Endpoint]:
    """Pods numbered from 0: (how many, cluster, network, region, zone) for each group."""
    number = count()
    return [Endpoint(next(number), *place) for many, *place in groups for _ in range(many)]


def share(views: tuple[HostView, ...], *, remote: bool) -> float:
    return sum(view.weight for view in views if view.is_gateway is remote) / sum(view.weight for view in views)


def by_priority(views: tuple[HostView, ...]) -> dict[int, list[tuple[int, bool, int]]]:
    found: dict[int, list[tuple[int, bool, int]]] = {}
    for view in views:
        found.setdefault(view.priority, []).append((view.host, view.is_gateway, view.weight))
    return found


# --- spec §4.3: weights -----------------------------------------------------------------------------------------

TWO_NETWORKS = pods((2, "c1", "net1", "r1", "a"), (3, "c2", "net2", "r2", "a"))
TWO_GATEWAYS = Gateways.of(
    [GatewayAddress(0, "c1", "net1"), GatewayAddress(1, "c2", "net2"), GatewayAddress(2, "c2", "net2")]
)
IN_NET1 = Client("c1", "net1", "r1", "a")


def test_spec_4_3_example_two_gateways_share_the_weight_of_three_remote_pods():
    # scale = lcm(1, 2) = 2; local pods 1·2; each gateway 3 · floor(1·2 / 2) = 3
    views = host_views(TWO_NETWORKS, TWO_GATEWAYS, IN_NET1, Policy())
    assert [(view.is_gateway, view.weight) for view in views] == [(False, 2), (False, 2), (True, 3), (True, 3)]
    assert share(views, remote=True) == 3 / 5


SPLIT_ZONES = pods((2, "c1", "net1", "r1", "a"), (1, "c2", "net2", "r2", "a"), (2, "c2", "net2", "r2", "b"))


def test_spec_4_3_example_of_a_gateway_listed_for_two_zones_only_the_first_copy_counts():
    views = host_views(SPLIT_ZONES, TWO_GATEWAYS, IN_NET1, Policy())
    assert [(view.host, view.is_gateway, view.weight, view.zone) for view in views] == [
        (0, False, 2, "a"),
        (1, False, 2, "a"),
        (1, True, 1, "a"),
        (2, True, 1, "a"),
    ]
    assert share(views, remote=True) == pytest.approx(1 / 3)


def test_spec_4_3_example_without_the_bug_the_remote_share_is_that_of_the_pods():
    views = host_views(SPLIT_ZONES, TWO_GATEWAYS, IN_NET1, Policy(), gateway_dedup=False)
    assert [(view.host, view.weight) for view in views if view.is_gateway] == [(1, 3), (2, 3)]
    assert share(views, remote=True) == 3 / 5


def test_spec_0_4_weights_1_2_3_over_three_localities_collapse_to_the_first():
    service = pods((1, "c2", "net2", "r2", "a"), (2, "c2", "net2", "r2", "b"), (3, "c2", "net2", "r2", "c"))
    views = host_views(service, Gateways.of([GatewayAddress(9, "c2", "net2")]), IN_NET1, Policy())
    assert views == (HostView(9, True, 0, 1, "r2", "a"),)


def test_the_first_copy_is_that_of_the_locality_that_sorts_first_as_text():
    # 'eu-1/a' sorts before 'eu/a' because '-' comes before '/'; the order of the pods does not matter
    service = pods((2, "c2", "net2", "eu", "a"), (5, "c2", "net2", "eu-1", "a"))
    (view,) = host_views(service, Gateways.of([GatewayAddress(9, "c2", "net2")]), IN_NET1, Policy())
    assert (view.region, view.weight) == ("eu-1", 5)


def test_spec_4_3_in_different_priorities_the_copy_that_istiods_message_lists_first_survives():
    # The client is in r1 too: r1/z is the same region (P1), aa/a another one (P2). The message is in the order of the
    # localities' names whatever their priorities (endpoint_builder.go), so P1 is left without a host.
    service = pods((1, "c1", "net1", "r1", "a"), (4, "c2", "net2", "aa", "a"), (2, "c2", "net2", "r1", "z"))
    gateway = Gateways.of([GatewayAddress(9, "c2", "net2")])
    assert by_priority(host_views(service, gateway, IN_NET1, FAILOVER)) == {0: [(0, False, 1)], 2: [(9, True, 4)]}
    unmerged = host_views(service, gateway, IN_NET1, FAILOVER, gateway_dedup=False)
    assert by_priority(unmerged) == {0: [(0, False, 1)], 1: [(9, True, 2)], 2: [(9, True, 4)]}


def test_the_order_of_localities_is_that_of_the_whole_locality_with_its_slashes():
    # 'eu/a-1/' sorts before 'eu/a/'
    service = pods((2, "c2", "net2", "eu", "a"), (5, "c2", "net2", "eu", "a-1"))
    (view,) = host_views(service, Gateways.of([GatewayAddress(9, "c2", "net2")]), IN_NET1, Policy())
    assert (view.zone, view.weight) == ("a-1", 5)


def test_a_cluster_without_a_gateway_of_its_own_is_reached_through_its_networks_gateways():
    service = pods((1, "c2", "net2", "r2", "a"), (2, "c3", "net2", "r2", "a"))
    gateways = Gateways.of([GatewayAddress(4, "c2", "net2")])
    assert host_views(service, gateways, IN_NET1, Policy()) == (HostView(4, True, 0, 3, "r2", "a"),)


def test_gateways_of_the_endpoints_cluster_are_preferred_to_others_of_its_network():
    service = pods((1, "c2", "net2", "r2", "a"), (2, "c3", "net2", "r2", "a"))
    gateways = Gateways.of([GatewayAddress(4, "c2", "net2"), GatewayAddress(5, "c3", "net2")])
    views = host_views(service, gateways, IN_NET1, Policy())
    assert gateways.scale == 2  # two gateways in the network, one in each cluster
    assert [(view.host, view.weight) for view in views] == [(4, 2), (5, 4)]


def test_endpoints_of_a_network_without_a_known_gateway_count_as_directly_reachable():
    views = host_views(TWO_NETWORKS, Gateways.of([GatewayAddress(0, "c1", "net1")]), IN_NET1, Policy())
    assert [(view.host, view.is_gateway, view.weight) for view in views] == [(n, False, 1) for n in range(5)]


def test_an_empty_network_matches_every_network():
    views = host_views(TWO_NETWORKS, TWO_GATEWAYS, Client("c1", "", "r1", "a"), Policy())
    assert not any(view.is_gateway for view in views)


def test_pod_weights_multiply():
    service = [Endpoint(0, "c1", "net1", "r1", "a", weight=3), Endpoint(1, "c2", "net2", "r2", "a", weight=5)]
    views = host_views(service, TWO_GATEWAYS, IN_NET1, Policy())
    assert [(view.is_gateway, view.weight) for view in views] == [(False, 6), (True, 5), (True, 5)]


def test_a_service_without_endpoints_has_no_hosts():
    assert host_views([], TWO_GATEWAYS, IN_NET1, FAILOVER) == ()


# --- spec §2.9 (a): priorities ------------------------------------------------------------------------------------

R1_A = Client("c1", "net1", "r1", "a")
SPEC_2_9 = pods((4, "c1", "net1", "r1", "a"), (4, "c1", "net1", "r1", "b"), (6, "c2", "net2", "r2", "x"))
ONE_EACH = Gateways.of([GatewayAddress(0, "c1", "net1"), GatewayAddress(1, "c2", "net2")])


def test_spec_2_9_example_zone_then_region_then_the_gateway_of_the_other_region():
    found = by_priority(host_views(SPEC_2_9, ONE_EACH, R1_A, FAILOVER))
    assert found == {0: [(n, False, 1) for n in range(4)], 1: [(n, False, 1) for n in range(4, 8)], 2: [(1, True, 6)]}


def test_spec_0_2_without_outlier_detection_there_are_no_priorities():
    views = host_views(SPEC_2_9, ONE_EACH, R1_A, Policy())
    assert {view.priority for view in views} == {0}


@pytest.mark.parametrize(
    "policy",
    [
        Policy(outlier_detection=OutlierDetection(), locality=Locality(enabled=False)),
        Policy(outlier_detection=OutlierDetection(), outlier_detection_by_mesh=True),
    ],
    ids=["switched off", "outlier detection of the mesh only"],
)
def test_priorities_need_locality_balancing_and_a_destination_rules_outlier_detection(policy):
    assert {view.priority for view in host_views(SPEC_2_9, ONE_EACH, R1_A, policy)} == {0}


def test_spec_2_9_ranks_are_compacted_so_that_the_nearest_locality_is_priority_0():
    elsewhere = Client("c9", "net1", "r1", "z")
    found = by_priority(host_views(SPEC_2_9, ONE_EACH, elsewhere, FAILOVER))
    assert {priority: len(hosts) for priority, hosts in found.items()} == {0: 8, 1: 1}


def test_spec_2_9_failover_puts_other_regions_last_without_excluding_them():
    service = pods((1, "c1", "n", "r1", "a"), (1, "c2", "n", "r2", "a"), (1, "c3", "n", "r3", "a"))
    policy = Policy(outlier_detection=OutlierDetection(), locality=Locality(failover=(("r1", "r3"),)))
    here = Client("c1", "n", "r1", "a")
    assert [(view.region, view.priority) for view in host_views(service, NO_GATEWAYS, here, policy)] == [
        ("r1", 0),
        ("r3", 1),
        ("r2", 2),
    ]
    from_r2 = host_views(service, NO_GATEWAYS, Client("c2", "n", "r2", "a"), policy)
    assert [(view.region, view.priority) for view in from_r2] == [("r2", 0), ("r1", 1), ("r3", 1)]


def test_spec_2_9_clients_without_locality_find_pods_without_locality_in_priority_0():
    service = pods((3, "c1", "n", "", ""))
    views = host_views(service, NO_GATEWAYS, Client("c1", "n", "", ""), FAILOVER)
    assert {(view.priority, view.weight) for view in views} == {(0, 1)}


def test_a_zone_of_the_same_name_in_another_region_is_not_near():
    service = pods((1, "c1", "n", "r1", "a"), (1, "c2", "n", "r2", "a"))
    views = host_views(service, NO_GATEWAYS, Client("c2", "n", "r2", "a"), FAILOVER)
    assert [(view.region, view.priority) for view in views] == [("r2", 0), ("r1", 1)]


# --- spec §2.9 (b): failoverPriority ------------------------------------------------------------------------------

NETWORK, REGION, ZONE = "topology.istio.io/network", "topology.kubernetes.io/region", "topology.kubernetes.io/zone"


def prefer(*labels: str, failover: tuple[tuple[str, str], ...] = ()) -> Policy:
    locality = Locality(failover_priority=labels, failover=failover)
    return Policy(outlier_detection=OutlierDetection(), locality=locality)


def labelled(number: int, region: str = "r1", zone: str = "a", **labels: str) -> Endpoint:
    return Endpoint(number, "c1", "net1", region, zone, labels=tuple(labels.items()))


def priorities(views: tuple[HostView, ...]) -> dict[int, int]:
    return {view.host: view.priority for view in views}


def test_spec_2_9b_the_rank_is_that_of_the_first_label_that_differs():
    here = Client("c1", "net1", "r1", "a", labels=(("version", "v1"), ("canary", "no")))
    service = [
        labelled(0, version="v1", canary="no"),  # all match: 0
        labelled(1, version="v1", canary="yes"),  # the second differs: 1
        labelled(2, version="v2", canary="no"),  # the first differs: 2, whatever follows
        labelled(3, version="v2", canary="yes"),
        labelled(4),
    ]
    found = host_views(service, NO_GATEWAYS, here, prefer("version", "canary"))
    assert priorities(found) == {0: 0, 1: 1, 2: 2, 3: 2, 4: 2}


def test_spec_2_9b_a_value_given_with_the_label_counts_in_place_of_the_clients():
    here = Client("c1", "net1", "r1", "a", labels=(("version", "v1"),))
    service = [labelled(0, version="v1"), labelled(1, version="v2")]
    assert priorities(host_views(service, NO_GATEWAYS, here, prefer("version=v2"))) == {0: 1, 1: 0}


def test_spec_2_9b_a_label_that_neither_has_counts_as_equal():
    service = [labelled(0), labelled(1, version="v1")]
    assert priorities(host_views(service, NO_GATEWAYS, R1_A, prefer("version"))) == {0: 0, 1: 1}


def test_spec_2_9b_another_network_does_not_end_the_comparison_but_adds_to_the_rank():
    # n = 3 labels; ranks: all match 0, zone differs 1, region differs 2; another network the same plus 3
    service = [
        Endpoint(0, "c1", "net1", "r1", "a"),
        Endpoint(1, "c1", "net1", "r1", "b"),
        Endpoint(2, "c1", "net1", "r2", "a"),
        Endpoint(3, "c2", "net2", "r1", "a"),
        Endpoint(4, "c2", "net2", "r1", "b"),
        Endpoint(5, "c2", "net2", "r2", "a"),
    ]
    found = host_views(service, NO_GATEWAYS, R1_A, prefer(NETWORK, REGION, ZONE))
    assert priorities(found) == {n: n for n in range(6)}


def test_spec_2_9b_gateways_carry_only_cluster_and_network_so_their_pods_are_last():
    # istio#49500: the remote pods have the client's zone and version, their gateway has neither
    here = R1_A._replace(labels=(("version", "v1"),))
    service = [
        labelled(0, zone="b", version="v2"),
        Endpoint(1, "c2", "net2", "r1", "a", labels=(("version", "v1"),)),
    ]
    found = host_views(service, ONE_EACH, here, prefer(ZONE, "version"))
    assert {(view.is_gateway, view.priority) for view in found} == {(False, 0), (True, 0)}
    cluster = host_views(service, ONE_EACH, here, prefer("topology.istio.io/cluster=c2"))
    assert [(view.is_gateway, view.priority) for view in cluster] == [(True, 0), (False, 1)]


def test_spec_2_9b_with_failover_the_distance_orders_the_hosts_of_each_rank():
    # rank · 5 + distance: v1 in r1, r3, r2, then v2 in the same order
    service = [
        labelled(2 * n + (version == "v2"), region, version=version)
        for n, region in enumerate(("r1", "r2", "r3"))
        for version in ("v1", "v2")
    ]
    here = Client("c1", "net1", "r1", "a", labels=(("version", "v1"),))
    found = host_views(service, NO_GATEWAYS, here, prefer("version", failover=(("r1", "r3"),)))
    assert priorities(found) == {0: 0, 4: 1, 2: 2, 1: 3, 5: 4, 3: 5}


def test_spec_2_9b_needs_outlier_detection_unless_the_service_asks_for_it():
    service = [labelled(0, zone="b"), labelled(1)]
    for forced, expected in [(False, {0: 0, 1: 0}), (True, {0: 1, 1: 0})]:
        policy = Policy(locality=Locality(failover_priority=(NETWORK, REGION, ZONE), forced=forced))
        assert priorities(host_views(service, NO_GATEWAYS, R1_A, policy)) == expected


# --- spec §2.9 (c): distribute --------------------------------------------------------------------------------------


def spread(*entries: tuple[str, dict[str, int]]) -> Policy:
    return Policy(locality=Locality(distribute=tuple((source, tuple(to.items())) for source, to in entries)))


def localities(views: tuple[HostView, ...]) -> dict[tuple[str, str], int]:
    return {(view.region, view.zone): view.locality_weight for view in views}


THREE_REGIONS = pods(
    (2, "c1", "n", "r1", "a"), (1, "c1", "n", "r1", "b"), (4, "c2", "n", "r2", "a"), (3, "c3", "n", "r3", "a")
)
IN_R1_A = Client("c1", "n", "r1", "a")


def test_spec_2_9c_a_share_is_divided_over_the_localities_it_means_by_their_weights_and_rounded_up():
    # 80 over r1/a with 2 pods and r1/b with 1: ceil(53.3) and ceil(26.7); r3 gets no hosts
    found = host_views(THREE_REGIONS, NO_GATEWAYS, IN_R1_A, spread(("r1/*", {"r1/*": 80, "r2/*": 20})))
    assert localities(found) == {("r1", "a"): 54, ("r1", "b"): 27, ("r2", "a"): 20}
    assert {view.priority for view in found} == {0}


@pytest.mark.parametrize(
    ("source", "matches"),
    [("r1/a", True), ("r1/a/*", True), ("r1", True), ("*", True), ("*/a", True), ("r1/b", False), ("r2/*", False)],
)
def test_spec_2_9c_the_first_entry_for_the_clients_locality_counts(source, matches):
    found = host_views(THREE_REGIONS, NO_GATEWAYS, IN_R1_A, spread((source, {"r2": 100}), ("*", {"r3": 100})))
    assert {view.region for view in found} == {"r2" if matches else "r3"}


def test_spec_2_9c_without_an_entry_every_locality_has_the_weight_of_its_hosts():
    found = host_views(THREE_REGIONS, NO_GATEWAYS, IN_R1_A, spread(("r9", {"r1": 100})))
    assert localities(found) == {("r1", "a"): 2, ("r1", "b"): 1, ("r2", "a"): 4, ("r3", "a"): 3}


def test_spec_2_9c_of_two_patterns_for_a_locality_the_first_counts():
    found = host_views(THREE_REGIONS, NO_GATEWAYS, IN_R1_A, spread(("*", {"r1/a": 10, "r1/*": 90})))
    assert localities(found) == {("r1", "a"): 10, ("r1", "b"): 90}


def test_spec_2_9c_a_gateway_counts_with_the_weight_of_the_pods_behind_it():
    service = pods((2, "c1", "net1", "r1", "a"), (2, "c1", "net1", "r2", "a"), (6, "c2", "net2", "r2", "b"))
    found = host_views(service, ONE_EACH, R1_A, spread(("*", {"r1": 60, "r2": 40})))
    assert localities(found) == {("r1", "a"): 60, ("r2", "a"): 10, ("r2", "b"): 30}


# --- spec §2.7: locality weights and the order of localities ---------------------------------------------------------


def test_spec_2_7_the_weight_of_a_locality_defaults_to_that_of_its_hosts():
    service = pods((4, "c1", "net1", "r1", "a"), (2, "c1", "net1", "r1", "b"), (6, "c2", "net2", "r2", "x"))
    explicit = Policy(outlier_detection=OutlierDetection(), locality=Locality(failover=(("r1", "r2"),)))
    assert localities(host_views(service, ONE_EACH, R1_A, explicit)) == {("r1", "a"): 4, ("r1", "b"): 2, ("r2", "x"): 6}
    assert set(localities(host_views(service, ONE_EACH, R1_A, FAILOVER)).values()) == {0}


def test_localities_of_a_priority_are_numbered_with_the_proxys_own_first():
    service = pods((1, "c1", "n", "r1", "z"), (1, "c1", "n", "r1", "b"), (2, "c1", "n", "a", "a"))
    here = Client("c1", "n", "r1", "z")
    found = host_views(service, NO_GATEWAYS, here, Policy())
    assert {(view.region, view.zone): view.locality for view in found} == {
        ("r1", "z"): 0,
        ("a", "a"): 1,
        ("r1", "b"): 2,
    }
    split = host_views(service, NO_GATEWAYS, here, FAILOVER)
    assert {(view.region, view.zone): view.locality for view in split} == {
        ("r1", "z"): 0,
        ("a", "a"): 0,
        ("r1", "b"): 0,
    }


def test_without_the_bug_a_gateways_locality_weights_add_up_as_its_weights_do():
    explicit = Policy(locality=Locality(failover_priority=(NETWORK,), forced=True))
    found = host_views(SPLIT_ZONES, TWO_GATEWAYS, IN_NET1, explicit, gateway_dedup=False)
    assert localities(found) == {("r1", "a"): 4, ("r2", "a"): 6}


# --- spec §2.8: zone-aware --------------------------------------------------------------------------------------------


def test_spec_2_8_the_own_region_is_priority_0_then_the_one_it_fails_over_to_then_the_others():
    service = pods(
        (2, "c1", "n", "r1", "a"), (1, "c1", "n", "r1", "b"), (1, "c2", "n", "r2", "a"), (1, "c3", "n", "r3", "a")
    )
    plain = host_views(service, NO_GATEWAYS, IN_R1_A, Policy(zone_aware=ZoneAware()))
    assert priorities(plain) == {0: 0, 1: 0, 2: 0, 3: 1, 4: 1}
    ordered = host_views(service, NO_GATEWAYS, IN_R1_A, Policy(zone_aware=ZoneAware(failover=(("r1", "r3"),))))
    assert priorities(ordered) == {0: 0, 1: 0, 2: 0, 4: 1, 3: 2}
    assert {view.locality_weight for view in ordered} == {0}


def test_spec_2_8_labels_come_before_regions():
    service = [labelled(0, version="v2"), labelled(1, "r2", version="v1"), labelled(2, version="v1")]
    here = Client("c1", "net1", "r1", "a", labels=(("version", "v1"),))
    policy = Policy(zone_aware=ZoneAware(failover_priority=("version",)))
    assert priorities(host_views(service, NO_GATEWAYS, here, policy)) == {2: 0, 1: 1, 0: 2}


# --- which pods are sent ----------------------------------------------------------------------------------------------


def test_a_subset_has_the_pods_with_all_its_labels():
    service = [
        labelled(0, version="v1"),
        labelled(1, version="v2"),
        labelled(2, version="v1", canary="yes"),
        labelled(3),
    ]
    found = host_views(service, NO_GATEWAYS, R1_A, Policy(), labels={"version": "v1"})
    assert [view.host for view in found] == [0, 2]
    both = host_views(service, NO_GATEWAYS, R1_A, Policy(), labels={"version": "v1", "canary": "yes"})
    assert [view.host for view in both] == [2]


def test_spec_0_20_pods_that_are_not_ready_are_unhealthy_hosts_or_none():
    service = [Endpoint(0, "c1", "net1", "r1", "a"), Endpoint(1, "c1", "net1", "r1", "a", ready=False)]
    assert [view.healthy for view in host_views(service, NO_GATEWAYS, R1_A, Policy())] == [True, False]
    assert [view.host for view in host_views(service, NO_GATEWAYS, R1_A, Policy(unready_endpoints=False))] == [0]


@pytest.mark.parametrize(("sent", "weight"), [(True, 2), (False, 1)])
def test_spec_4_3_remote_pods_that_are_not_ready_count_for_their_gateway_where_they_are_sent(sent, weight):
    service = [Endpoint(n, "c2", "net2", "r2", "a", ready=n == 0) for n in (0, 1)]
    (view,) = host_views(service, ONE_EACH, IN_NET1, Policy(unready_endpoints=sent))
    assert (view.is_gateway, view.weight, view.healthy) == (True, weight, True)


def test_spec_4_3_pods_that_take_no_mutual_tls_cannot_be_reached_beyond_a_gateway():
    service = [Endpoint(n, f"c{1 + n // 2}", f"net{1 + n // 2}", "r1", "a", tls=n % 2 == 0) for n in range(4)]
    found = host_views(service, ONE_EACH, IN_NET1, Policy())
    assert [(view.host, view.is_gateway, view.weight) for view in found] == [(0, False, 1), (1, False, 1), (1, True, 1)]
    plain = host_views(service, ONE_EACH, IN_NET1, Policy(tls=False, tls_mode="DISABLE"))
    assert [(view.host, view.is_gateway) for view in plain] == [(0, False), (1, False)]
    direct = host_views(service, NO_GATEWAYS, IN_NET1, Policy(tls=False, tls_mode="DISABLE"))
    assert len(direct) == 4


def test_spec_4_5_a_cluster_local_service_has_the_pods_of_the_clients_cluster_only():
    found = host_views(TWO_NETWORKS, TWO_GATEWAYS, IN_NET1, Policy(cluster_local=True))
    assert [(view.host, view.is_gateway) for view in found] == [(0, False), (1, False)]


def test_spec_4_4_a_gateway_sees_the_pods_of_its_own_network_that_take_mutual_tls():
    service = [*TWO_NETWORKS, Endpoint(5, "c2", "net2", "r2", "a", tls=False)]
    gateway = Client("c2", "net2", "r2", "a")
    found = host_views(service, TWO_GATEWAYS, gateway, Policy(), own_network=True)
    assert [(view.host, view.is_gateway) for view in found] == [(2, False), (3, False), (4, False)]


def test_spec_4_3_a_gateway_never_has_weight_0():
    gateways = Gateways.of([GatewayAddress(0, "c2", "net2")])
    (view,) = host_views([Endpoint(0, "c2", "net2", "r2", "a", weight=0)], gateways, IN_NET1, Policy())
    assert view.weight == 1


def test_spec_2_9a_another_subzone_of_the_zone_comes_before_another_zone():
    service = [
        Endpoint(0, "c1", "n", "r1", "b"),
        Endpoint(1, "c1", "n", "r1", "a", subzone="rack2"),
        Endpoint(2, "c1", "n", "r1", "a", subzone="rack1"),
    ]
    here = Client("c1", "n", "r1", "a", subzone="rack1")
    assert priorities(host_views(service, NO_GATEWAYS, here, FAILOVER)) == {2: 0, 1: 1, 0: 2}


# --- spec §4.5: share of remote traffic -----------------------------------------------------------------------------


@pytest.mark.parametrize(("n1", "n2"), [(3, 1), (4, 4), (2, 6)])
def test_spec_4_5_one_network_the_remote_share_is_that_of_the_pods_and_all_weights_are_equal(n1, n2):
    service = pods((n1, "c1", "n", "r1", "a"), (n2, "c2", "n", "r2", "a"))
    views = host_views(service, NO_GATEWAYS, Client("c1", "n", "r1", "a"), Policy())
    assert {view.weight for view in views} == {1}
    assert sum(view.region == "r2" for view in views) / len(views) == n2 / (n1 + n2)


@pytest.mark.parametrize(("n1", "n2"), [(3, 1), (4, 4), (2, 6)])
def test_spec_4_5_two_networks_the_remote_weight_starts_at_the_share_of_the_pods(n1, n2):
    service = pods((n1, "c1", "net1", "r1", "a"), (n2, "c2", "net2", "r2", "a"))
    views = host_views(service, ONE_EACH, IN_NET1, Policy())
    assert share(views, remote=True) == n2 / (n1 + n2)


def test_spec_4_5_with_failover_the_other_region_is_not_in_priority_0():
    service = pods((4, "c1", "net1", "r1", "a"), (4, "c2", "net2", "r2", "a"))
    assert all(view.priority == 1 for view in host_views(service, ONE_EACH, IN_NET1, FAILOVER) if view.is_gateway)


# --- beside Istio itself ----------------------------------------------------------------------------------------------


def test_weights_are_those_of_a_config_dump_of_a_real_proxy():
    file = FORMATS / "envoy-endpoints-configdump.json"
    if not file.exists():
        pytest.skip("the shared example of an endpoints config dump is not here")
    dump = json.loads(file.read_text())
    compared = 0
    for assignment in (entry["endpoint_config"] for entry in dump["configs"][0]["dynamic_endpoint_configs"]):
        for locality in assignment.get("endpoints", ()):
            hosts = locality["lb_endpoints"]
            service = pods((len(hosts), "Kubernetes", "", "", ""))
            views = host_views(service, NO_GATEWAYS, Client("Kubernetes", "", "", ""), Policy())
            assert [view.weight for view in views] == [host["load_balancing_weight"] for host in hosts]
            assert sum(view.weight for view in views) == locality["load_balancing_weight"]
            assert {view.priority for view in views} == {locality.get("priority", 0)}
            compared += 1
    assert compared > 10
