"""Single mechanisms against their expectation, in intervals over replications: links, choices, spread, counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import linalg

from meshsim.analysis import theory
from meshsim.analysis.retries import retry_attempts
from meshsim.analysis.statistics import interval
from meshsim.scenario.fields import Percentiles
from meshsim.verify import measured
from meshsim.verify.cases import choices_response
from meshsim.verify.parts import (
    DEMAND,
    attempts,
    exponential,
    latency_quantile,
    mean_latency,
    mesh,
    rate,
    route,
    rule,
    service,
    share,
)

SEED = 30
#: About one test in a thousand runs of this file fails by chance; the seed is fixed.
CONFIDENCE = 1.0 - 1e-4


def assert_covers(values, exact: float, what: str, widest: float = 0.08) -> None:
    found = interval(values, CONFIDENCE)
    message = f"{what}: {found.mean:.6g} ± {found.half_width:.2g}, exactly {exact:.6g}, seed {SEED}"
    assert found.half_width <= widest * abs(exact), f"too wide: {message}"
    assert found.covers(exact), message


def one_pod(compute: dict, load: float = 200.0, **more) -> dict:
    return measured(mesh({"web": service(compute)}, rate(load), measured=100.0, warm_up=5.0, **more), seed=SEED)


def fails(target: dict, fraction: float) -> dict:
    """Return an event: a fraction of what the target's pods are asked fails, all the time."""
    return {"event": "service_failing", "start": "0s", "duration": "105s", "fraction": fraction, "target": target}


# --- distributions and links ------------------------------------------------------------------------------------


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("compute", "exact"),
    [
        ({"gamma": {"mean": "10ms", "cv": 0.5}}, 0.01),
        ({"gamma": {"mean": "10ms", "cv": 1.5}}, 0.01),
        ({"empirical": ["1ms", "3ms", "11ms"]}, (0.002 + 0.007) / 2),
        ({"p50": "10ms", "p90": "30ms"}, 0.01 * math.exp((math.log(3) / Percentiles.Z["p90"]) ** 2 / 2)),
    ],
    ids=["gamma", "gamma with a pole", "empirical", "lognormal"],
)
def test_demands_have_their_mean(compute, exact):
    assert_covers(mean_latency(one_pod({"compute": compute})), exact, "mean demand, s")


@pytest.mark.slow
def test_a_round_trip_has_the_percentiles_of_its_link():
    tables = one_pod({"compute": "0s"}, latency=[{"between": ["r/z", "r/z"], "rtt": {"p50": "20ms", "p99": "50ms"}}])
    assert_covers(latency_quantile(0.5)(tables), 0.02, "median round trip, s")
    assert_covers(latency_quantile(0.99)(tables), 0.05, "99th percentile of round trips, s")


@pytest.mark.slow
def test_lost_messages_are_sent_again_after_a_timeout_that_doubles():
    """Of each direction: losses k in a row with probability 0.9 · 0.1^k cost 200 ms · (2^k - 1)."""
    place = {"zone": "z"}
    links = {"from": place, "to": place}
    lossy = {"event": "link_lossy", "start": "0s", "duration": "105s", "loss": 0.1, "target": links}
    exact = 2 * 0.2 * sum(0.9 * 0.1**k * (2**k - 1) for k in range(30))
    tables = one_pod({"compute": "0s"}, timeline=[lossy])
    assert_covers(mean_latency(tables), exact, "mean delay of losses, s", widest=0.1)


# --- scripts ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_counts_and_probabilities_of_calls_are_kept():
    script = [{"call": "db/x", "count": 1.6}, {"call": "db/x", "probability": 0.25, "count": 3}]
    tables = measured(mesh({"web": service(*script), "db": service()}, rate(200), measured=100, warm_up=5), seed=SEED)
    assert_covers(attempts("db")(tables), 1.6 + 0.75, "calls per request")


@pytest.mark.slow
def test_actions_are_chosen_by_weight_and_made_whole():
    endpoints = {"endpoints": {"a": {"script": [{"call": "db/x"}]}, "b": {}}}
    actions = {"one": {"weight": 3, "requests": ["a"]}, "two": {"weight": 1, "requests": ["b", "a", "b"]}}
    load = rate(200) | {"actions": actions}
    tables = measured(mesh({"web": endpoints, "db": service()}, load, measured=100, warm_up=5), seed=SEED)
    # of four actions three make one request and the fourth makes three; one in each calls db
    assert_covers(attempts("db")(tables), 4 / 6, "calls per request")


@pytest.mark.slow
def test_load_enters_by_its_shares():
    scenario = mesh({"web": service()}, rate(200) | {"enters": {"c": 3, "d": 1}}, measured=100, warm_up=5)
    scenario["clusters"]["d"] = {"region": "r"}
    assert_covers(share(cluster="d")(measured(scenario, seed=SEED)), 0.25, "fraction that entered by d")


@pytest.mark.sample(1)
@pytest.mark.parametrize(("failure", "retries"), [(0.4, 2), (1.0, 3)])
def test_attempts_fail_independently_of_those_before(failure, retries):
    failing = fails({"service": "web"}, failure)
    policy = route("web", retries={"attempts": retries, "retryOn": "5xx"})
    tables = one_pod({"compute": "0s"}, timeline=[failing], istio=[policy])
    assert_covers(attempts("web")(tables), retry_attempts(failure, retries), "attempts per request")
    assert_covers(share(code=503)(tables), failure ** (retries + 1), "fraction failed", widest=0.1)


@pytest.mark.slow
def test_a_caller_s_retry_is_a_new_try_at_everything_below():
    """Half of db's answers are errors; web does not retry them, but the ingress retries web."""
    failing = fails({"service": "db"}, 0.5)
    policies = [route("web", retries={"attempts": 2, "retryOn": "5xx"}), route("db", retries={"attempts": 0})]
    services = {"web": service({"call": "db/x"}), "db": service()}
    tables = measured(mesh(services, rate(200), measured=100, warm_up=5, timeline=[failing], istio=policies), seed=SEED)
    assert_covers(share(code=500)(tables), 0.125, "fraction failed")


@pytest.mark.slow
def test_a_retry_goes_to_a_host_that_was_not_tried():
    """One of four pods fails always: with previous hosts avoided nearly no retry meets it again."""
    services = {"web": service(workloads={"good": {"replicas": 3}, "bad": {"replicas": 1}})}
    failing = fails({"workload": "bad"}, 1.0)
    policies = [route("web", retries={"attempts": 1, "retryOn": "5xx"}), rule("web", loadBalancer={"simple": "RANDOM"})]
    tables = measured(mesh(services, rate(500), measured=100, warm_up=5, timeline=[failing], istio=policies), seed=SEED)
    assert_covers(attempts("web")(tables), 1.25, "attempts per request")
    # one choice and five more, all of which must meet the bad one
    assert interval(share(code=503)(tables), CONFIDENCE).low <= 0.25 * 0.25**6 + 1e-9
    assert (share(code=503)(tables) < 0.001).all()


# --- balancing --------------------------------------------------------------------------------------------------


def two_choices_of_two(load: float, most: int = 60) -> float:
    """Return the mean number of requests at each of two pods, from the balance equations of both queues."""
    size = most * most
    rates = np.zeros((size, size))
    for a in range(most):
        for b in range(most):
            here = a * most + b
            to_a = 0.5 if a == b else 0.75 if a < b else 0.25  # both draws may hit the same pod
            if a + 1 < most:
                rates[here, here + most] += 2 * load * to_a
            if b + 1 < most:
                rates[here, here + 1] += 2 * load * (1 - to_a)
            if a:
                rates[here, here - most] += 1.0
            if b:
                rates[here, here - 1] += 1.0
    generator = rates - np.diag(rates.sum(axis=1))
    generator[:, 0] = 1.0
    shares = linalg.solve(generator.T, np.eye(size)[0], overwrite_a=True)
    return float(shares.reshape(most, most).sum(axis=1) @ np.arange(most))


@pytest.mark.slow
def test_two_choices_of_two_pods_agree_with_their_markov_chain():
    """Exact for a few pods, where the mean-field limit is far off: both draws hit the same pod half of the time."""
    services = {"web": service(exponential(), workers=1, replicas=2)}
    tables = measured(mesh(services, rate(140), measured=1000), seed=SEED)
    assert_covers(mean_latency(tables), two_choices_of_two(0.7, 40) / 0.7 * DEMAND, "mean response, s")


def test_the_refined_mean_field_formula_is_near_the_chain_of_a_few_pods():
    assert choices_response(0.5, 1.0, 2) * 0.5 == pytest.approx(two_choices_of_two(0.5, 25), rel=0.05)


@pytest.mark.slow
def test_a_balancer_that_sees_a_part_of_the_requests_is_between_random_and_one_that_sees_all():
    """Eight ingress proxies, each of which counts its own requests only."""
    scenario = mesh({"web": service(exponential(), workers=1, replicas=8)}, rate(640), measured=200, warm_up=20)
    scenario["ingress"] = {"c": {"cpu": "0s", "latency": "0s", "replicas": 8}}
    partly = mean_latency(measured(scenario, seed=SEED)).mean()
    assert choices_response(0.8, DEMAND, 8) < partly < theory.mm1_response(80.0, DEMAND)
