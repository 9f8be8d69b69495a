from __future__ import annotations

import pickle

import pytest

from meshsim.scenario.istio import CircuitBreaker, IstioResources, Locality, OutlierDetection, Policy, Retry


def test_without_resources_every_setting_is_istios_default():
    policy = IstioResources().policy("cart", "shop", "1.31")
    assert policy == Policy(
        load_balancer="LEAST_REQUEST",  # spec §0.1
        locality=Locality(enabled=True),  # spec §0.2: on, and inert
        outlier_detection=None,
        panic_threshold=0,  # spec §0.10
        circuit_breaker=CircuitBreaker(2**32 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1),  # spec §0.15
        connect_timeout=10.0,  # spec §0.14
        timeout=None,  # spec §3.4
        retry=Retry(  # spec §0.11, §0.12
            attempts=2,
            conditions=("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"),
            status_codes=(),
            per_try_timeout=None,
            base_interval=0.025,
            max_interval=0.25,
            avoid_previous_hosts=True,
            host_attempts=5,
        ),
    )
    assert set(policy.sources.values()) == {"Istio default"}
    assert policy.circuit_breaker.unlimited


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
    ],
)
def test_locality_failover_takes_outlier_detection_of_a_destination_rule(policy, failover):
    assert policy.locality_failover is failover


def test_policies_that_do_the_same_are_equal_wherever_they_come_from():
    one, other = Policy(sources={"timeout": "a"}), Policy(sources={"timeout": "b"})
    assert one == other
    assert hash(one) == hash(other)


def test_a_policy_travels_to_another_process():
    policy = Policy(outlier_detection=OutlierDetection(), sources={"timeout": "here"})
    copy = pickle.loads(pickle.dumps(policy))
    assert (copy, copy.sources) == (policy, policy.sources)
