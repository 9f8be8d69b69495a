from __future__ import annotations

import pickle

import pytest

from meshsim.scenario.istio import CircuitBreaker, IstioResources, Locality, OutlierDetection, Policy
from meshsim.scenario.istio.policy import ConnectionPool, Retry, ZoneAware

EVERYWHERE = (("*", (("*", 100),)),)


def test_without_resources_every_setting_is_istios_default():
    policy = IstioResources().policy("cart", "shop", "1.31")
    assert policy == Policy(
        load_balancer="LEAST_REQUEST",  # spec §0.1
        locality=Locality(enabled=True),  # spec §0.2: on, and inert
        outlier_detection=None,
        panic_threshold=0,  # spec §0.10
        circuit_breaker=CircuitBreaker(2**32 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1),  # spec §0.15
        connect_timeout=10.0,  # spec §0.14
        connection_pool=ConnectionPool(  # spec §3.1
            max_requests_per_connection=0,
            max_concurrent_streams=1024,  # Envoy since 1.36, measured on 1.40
            idle_timeout=3600.0,
            tcp_idle_timeout=3600.0,
            max_connection_duration=None,
            h2_upgrade=False,
            use_client_protocol=False,
        ),
        retry_budget=None,
        tls=True,  # spec §3.6
        tls_mode="AUTO",
        unready_endpoints=True,  # spec §0.20
    )
    assert set(policy.sources.values()) == {"Istio default"}
    assert policy.circuit_breaker.unlimited


def test_retries_have_istios_defaults():
    # spec §0.11, §0.12
    assert Retry() == Retry(
        attempts=2,
        conditions=("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"),
        status_codes=(),
        per_try_timeout=None,
        base_interval=0.025,
        max_interval=0.25,
        avoid_previous_hosts=True,
        remote_localities=False,
        host_attempts=5,
    )


def test_outlier_detection_has_envoys_defaults_as_istio_passes_them_on():
    # spec §3.2
    assert OutlierDetection() == OutlierDetection(
        consecutive_5xx=5,
        consecutive_gateway_errors=0,
        interval=10.0,
        base_ejection_time=30.0,
        max_ejection_percent=10,
        max_ejection_time=300.0,
        split_external_local_origin_errors=False,
        consecutive_local_origin_failures=5,
    )


@pytest.mark.parametrize(
    ("policy", "failover"),
    [
        (Policy(), False),  # spec §0.2
        (Policy(outlier_detection=OutlierDetection()), True),
        (Policy(outlier_detection=OutlierDetection(), locality=Locality(enabled=False)), False),
        (Policy(outlier_detection=OutlierDetection(), outlier_detection_by_mesh=True), False),  # spec §1
        (Policy(outlier_detection=OutlierDetection(), locality=Locality(distribute=EVERYWHERE)), False),  # spec §2.9c
        (Policy(locality=Locality(failover_priority=("a",))), False),
        (Policy(locality=Locality(failover_priority=("a",), forced=True)), True),  # spec §2.9d
        (Policy(zone_aware=ZoneAware()), True),  # spec §2.9
    ],
)
def test_locality_failover_takes_outlier_detection_of_a_destination_rule_or_what_needs_none(policy, failover):
    assert policy.locality_failover is failover


@pytest.mark.parametrize(
    ("policy", "weighted"),
    [
        (Policy(outlier_detection=OutlierDetection()), False),  # default failover = priorities only
        (Policy(outlier_detection=OutlierDetection(), locality=Locality(failover=(("eu", "us"),))), True),
        (Policy(outlier_detection=OutlierDetection(), locality=Locality(failover_priority=("a",))), True),
        (Policy(locality=Locality(failover_priority=("a",))), False),
        (Policy(locality=Locality(failover_priority=("a",), forced=True)), True),
        (Policy(locality=Locality(distribute=EVERYWHERE)), True),
        (Policy(locality=Locality(enabled=False, distribute=EVERYWHERE)), False),
        (Policy(locality=Locality(distribute=EVERYWHERE), zone_aware=ZoneAware()), False),
    ],
)
def test_spec_2_1_localities_are_drawn_by_weight_only_where_the_setting_is_explicit(policy, weighted):
    assert policy.locality_weighted is weighted


@pytest.mark.parametrize(
    ("policy", "mutual"),
    [
        (Policy(), True),
        (Policy(tls_mode="ISTIO_MUTUAL"), True),
        (Policy(tls_mode="SIMPLE"), False),
        (Policy(tls=False, tls_mode="DISABLE"), False),
    ],
)
def test_only_istios_mutual_tls_crosses_networks(policy, mutual):
    assert policy.mutual_tls is mutual


def test_policies_that_do_the_same_are_equal_wherever_they_come_from():
    one, other = Policy(sources={"timeout": "a"}), Policy(sources={"timeout": "b"})
    assert one == other
    assert hash(one) == hash(other)


def test_a_policy_travels_to_another_process():
    policy = Policy(outlier_detection=OutlierDetection(), sources={"timeout": "here"})
    copy = pickle.loads(pickle.dumps(policy))
    assert (copy, copy.sources) == (policy, policy.sources)
