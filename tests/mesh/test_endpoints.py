from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest

from meshsim.mesh.endpoints import Client, Endpoint, GatewayAddress, Gateways, HostView, host_views
from meshsim.scenario.istio.policy import Locality, OutlierDetection, Policy

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


def test_spec_4_3_in_different_priorities_the_copy_of_the_first_priority_survives():
    # The client is in r1 too: r1/z is the same region (P1), aa/a another one (P2), although it sorts first.
    service = pods((1, "c1", "net1", "r1", "a"), (4, "c2", "net2", "aa", "a"), (2, "c2", "net2", "r1", "z"))
    gateway = Gateways.of([GatewayAddress(9, "c2", "net2")])
    assert by_priority(host_views(service, gateway, IN_NET1, FAILOVER)) == {0: [(0, False, 1)], 1: [(9, True, 2)]}
    unmerged = host_views(service, gateway, IN_NET1, FAILOVER, gateway_dedup=False)
    assert by_priority(unmerged) == {0: [(0, False, 1)], 1: [(9, True, 2)], 2: [(9, True, 4)]}


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
