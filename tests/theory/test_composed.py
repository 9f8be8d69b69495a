"""The parts put together, through the public API: sidecars, gateways, two networks and retries are in the path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import meshsim
from meshsim.analysis import theory
from meshsim.analysis.statistics import interval
from meshsim.verify.cases import choices_response
from meshsim.verify.parts import exponential, pool, rate, route, rule

ROOT = Path(__file__).parents[2]
#: Constant times in seconds: half of each round trip and what each kind of proxy adds.
NEAR, FAR, SIDECAR, INGRESS, GATEWAY, WORK = 0.0005, 0.04, 0.0007, 0.0009, 0.0002, 0.1


def mesh(web: dict, db: dict, load: dict, **more) -> dict:
    """Return two clusters in two regions and networks: web in eu-1, where users come in, db in us-1.

    Over HTTP/2 only the first request from a worker thread to a host waits for handshakes; see `settled`.
    """
    return {
        "name": "composed",
        "regions": {"eu": {"zones": ["a"]}, "us": {"zones": ["b"]}},
        "clusters": {"eu-1": {"region": "eu", "network": "eu"}, "us-1": {"region": "us", "network": "us"}},
        "latency": [
            {"between": ["eu/a", "eu/a"], "rtt": f"{2 * NEAR}s"},
            {"between": ["us/b", "us/b"], "rtt": f"{2 * NEAR}s"},
            {"between": ["eu", "us"], "rtt": f"{2 * FAR}s"},
        ],
        "services": {
            "web": {"replicas": {"eu-1": 2, "us-1": 0}, "workers": 10_000, "protocol": "http2", **endpoint(web)},
            "db": {"replicas": {"eu-1": 0, "us-1": 3}, "workers": 10_000, "protocol": "http2", **endpoint(db)},
        },
        "load": {"web": {"enters": {"eu-1": 1}, **load}},
        "sidecar": {"cpu": "0s", "latency": f"{SIDECAR}s"},
        "ingress": {"eu-1": {"cpu": "0s", "latency": f"{INGRESS}s"}},
        "gateways": {"us-1": {"cpu": "0s", "latency": f"{GATEWAY}s"}},
        "deployments": ["multi-primary"],
        "duration": "30s",
        "warm_up": "0s",
        **more,
    }


def endpoint(step: dict) -> dict:
    return {"endpoints": {"x": {"script": [step]}}}


def stop_at(second: float, until: float) -> list:
    return [{"spike": {"start": f"{second}s", "duration": f"{until - second}s", "factor": 0}}]


def run(scenario: dict):
    """Return requests and calls by code and flag, and the totals, of one run."""
    comparison = meshsim.run(meshsim.load(scenario), "multi-primary", replications=1)
    totals = comparison.tables["totals"].set_index("quantity")["value"]
    return comparison.tables["requests"], comparison.tables["calls"], totals


def outcomes(rows) -> dict:
    """Return the count of each code and flag."""
    return rows.groupby(["code", "response_flag"], observed=True)["count"].sum().to_dict()


def settled(rows):
    """Return the rows of when every connection stands."""
    return rows[rows["start"] >= 10.0]


def mean(rows) -> float:
    return settled(rows)["latency_sum"].sum() / settled(rows)["count"].sum()


# --- latency ----------------------------------------------------------------------------------------------------


def test_a_client_behind_a_slow_server_waits_for_it_and_for_everything_on_the_way():
    requests, calls, _ = run(mesh({"call": "db/x"}, {"compute": f"{WORK}s"}, rate(20)))
    # web's sidecar, to the gateway and on to the pod, its sidecar, the work, and back over both links
    call = SIDECAR + FAR + GATEWAY + NEAR + SIDECAR + WORK + NEAR + FAR
    request = INGRESS + NEAR + SIDECAR + call + NEAR
    assert outcomes(requests).keys() == {(200, "")}
    assert set(requests["flow"]) == {"cross-region"}
    requests, to_db = settled(requests), settled(calls[calls["destination"] == "db"])
    assert (requests["latency_sum"] / requests["count"]).to_numpy() == pytest.approx(request, rel=1e-9)
    assert (to_db["latency_sum"] / to_db["count"]).to_numpy() == pytest.approx(call, rel=1e-9)


def test_every_call_in_a_row_and_the_longest_of_those_at_once_count():
    step = [{"call": "db/x", "count": 2}, {"call": "db/x"}]
    requests, calls, _ = run(mesh(step, {"compute": f"{WORK}s"}, rate(20)))
    call = SIDECAR + FAR + GATEWAY + NEAR + SIDECAR + WORK + NEAR + FAR
    assert mean(requests) == pytest.approx(INGRESS + NEAR + SIDECAR + 2 * call + NEAR, rel=1e-9)
    assert calls[calls["destination"] == "db"]["count"].sum() == pytest.approx(3 * requests["count"].sum(), rel=0.05)


# --- time limits ------------------------------------------------------------------------------------------------

NEVER = {"compute": "5s"}
WAY = INGRESS + 2 * NEAR + SIDECAR  # what a user's request takes besides web's script


def test_a_deadline_that_must_pass_passes_once_for_every_try():
    """One second of patience and three retries, a server that takes five: four seconds, four calls, no answer."""
    load = {**rate(20), "phases": stop_at(20, 30)}
    requests, calls, totals = run(mesh({"call": "db/x", "timeout": "1s", "retries": 3}, NEVER, load))
    assert outcomes(requests).keys() == {(500, "")}
    assert mean(requests) == pytest.approx(4.0 + WAY, rel=1e-9)
    to_db = calls[calls["destination"] == "db"]
    assert outcomes(to_db).keys() == {(0, "DC")}
    assert (to_db["latency_sum"] / to_db["count"]).to_numpy() == pytest.approx(1.0, rel=1e-9)
    assert totals["requests in flight"] == 0
    assert to_db["count"].sum() == 4 * requests["count"].sum()
    assert to_db["attempts"].sum() == to_db["count"].sum()  # the mesh does not retry what its client gave up


def test_a_deadline_whose_call_may_fail_lets_the_request_succeed():
    step = {"call": "db/x", "timeout": "1s", "on_error": "ignore"}
    requests, _, _ = run(mesh(step, NEVER, rate(20)))
    assert outcomes(requests).keys() == {(200, "")}
    assert mean(requests) == pytest.approx(1.0 + WAY, rel=1e-9)


def test_a_route_timeout_that_must_pass_passes():
    scenario = mesh({"call": "db/x"}, NEVER, rate(20), istio=[route("db", timeout="1s")])
    requests, calls, _ = run(scenario)
    to_db = calls[calls["destination"] == "db"]
    assert outcomes(to_db).keys() == {(504, "UT")}
    assert (to_db["latency_sum"] / to_db["count"]).to_numpy() == pytest.approx(1.0, rel=1e-9)
    assert outcomes(requests).keys() == {(500, "")}
    assert mean(requests) == pytest.approx(1.0 + WAY, rel=1e-9)


def test_a_try_that_takes_too_long_is_tried_again_as_often_as_the_route_says():
    retries = {"attempts": 2, "perTryTimeout": "300ms", "retryOn": "5xx"}
    _, calls, _ = run(mesh({"call": "db/x"}, NEVER, rate(20), istio=[route("db", retries=retries)]))
    to_db = calls[calls["destination"] == "db"]
    assert outcomes(to_db).keys() == {(504, "URX,UT")}
    assert to_db["attempts"].sum() == 3 * to_db["count"].sum()
    # back-off: uniform below 25 ms before the first retry and below 50 ms before the second
    each = settled(to_db)["latency_sum"] / settled(to_db)["count"]
    assert ((each >= 0.9) & (each <= 0.975)).all()
    assert mean(to_db) == pytest.approx(0.9 + 0.0375, abs=0.003)


def test_the_route_s_timeout_ends_its_retries():
    retries = {"attempts": 5, "perTryTimeout": "300ms", "retryOn": "5xx"}
    policy = route("db", timeout="500ms", retries=retries)
    _, calls, _ = run(mesh({"call": "db/x"}, NEVER, rate(20), istio=[policy]))
    to_db = calls[calls["destination"] == "db"]
    assert outcomes(to_db).keys() == {(504, "UT")}
    assert mean(to_db) == pytest.approx(0.5, rel=1e-9)
    assert to_db["attempts"].sum() == 2 * to_db["count"].sum()


# --- one completion for each request ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policies",
    [
        [],
        [pool("db", http2MaxRequests=3), route("db", retries={"attempts": 3, "retryOn": "5xx"})],
        [
            rule(
                "db",
                connectionPool={"tcp": {"maxConnections": 2}, "http": {"http1MaxPendingRequests": 4, "maxRetries": 1}},
                outlierDetection={
                    "consecutive5xxErrors": 3,
                    "interval": "1s",
                    "baseEjectionTime": "2s",
                    "maxEjectionPercent": 100,
                },
            ),
            route("db", timeout="2s", retries={"attempts": 2, "perTryTimeout": "600ms", "retryOn": "5xx,reset"}),
            route("web", retries={"attempts": 2, "retryOn": "5xx"}),
        ],
    ],
    ids=["plain", "retries and limit", "everything"],
)
def test_slow_windows_retries_and_breakers_give_every_request_one_completion(policies):
    step = {"call": "db/x", "timeout": "1500ms", "retries": 1, "on_error": "ignore"}
    db = {"service": "db"}
    scenario = mesh(
        step, {"compute": {"exponential": "30ms"}}, {**rate(50), "phases": stop_at(30, 80)}, istio=policies,
        timeline=[
            {"event": "service_slow", "start": "5s", "duration": "10s", "factor": 60.0, "target": db},
            {"event": "service_failing", "start": "17s", "duration": "4s", "fraction": 0.5, "target": db},
            {"event": "gateway_down", "start": "22s", "duration": "3s", "target": {"cluster": "us-1"}},
            {"event": "pod_churn", "start": "5s", "duration": "20s", "rate": "20/min", "target": db},
        ],
        duration="80s",
    )  # fmt: skip
    requests, calls, totals = run(scenario)
    assert totals["requests arrived"] == pytest.approx(1500, abs=160)
    assert totals["requests ended"] == totals["requests arrived"] == requests["count"].sum()
    assert totals["requests in flight"] == 0
    assert totals["calls started"] == totals["calls ended"] == calls["count"].sum()
    assert totals["worker-seconds busy"] <= totals["worker-seconds demanded"] * (1 + 1e-9)
    assert len(outcomes(calls[calls["destination"] == "db"])) > 2  # they were slow windows indeed


# --- least request ----------------------------------------------------------------------------------------------


def balanced(balancer: str) -> tuple[float, ...]:
    """Return mean responses (seconds) of eight pods with one worker each, 90 % busy, one per replication."""
    scenario = mesh(exponential(), {"compute": "0s"}, rate(720), duration="220s", warm_up="20s", replications=8)
    scenario["services"]["web"] |= {"replicas": {"eu-1": 8, "us-1": 0}, "workers": 1}
    scenario["istio"] = [rule("web", loadBalancer={"simple": balancer})]
    rows = meshsim.run(meshsim.load(scenario), "multi-primary").tables["requests"]
    rows = rows[rows["start"] >= 20.0]
    return tuple(mean(part) - WAY for _, part in rows.groupby("replication"))


@pytest.mark.slow
def test_least_request_counts_those_who_queue_and_is_far_better_than_random():
    """Counting only what is served would make it worse than random: every pod looks the same.

    Eight pods are a fifth above the limit of many, and what the proxy counts is a millisecond of links and sidecars
    older than what the pods have.
    """
    least, random = interval(balanced("LEAST_REQUEST"), 0.99), interval(balanced("RANDOM"), 0.99)
    limit, eight = theory.choices_response(0.9, 0.01), choices_response(0.9, 0.01, 8)
    assert limit < least.low < least.high < 1.5 * limit, f"{least} s; limit {limit} s, eight pods {eight} s, seed 1"
    assert least.mean == pytest.approx(eight, rel=0.1), f"{least} s; limit {limit} s, eight pods {eight} s, seed 1"
    assert random.covers(theory.mm1_response(90.0, 0.01)), f"{random} s"
    assert least.high < random.low / 2


# --- runs end ---------------------------------------------------------------------------------------------------

ENDS = """
import json, sys
from meshsim import load
from meshsim.engine.simulation import Simulation
for scenario in json.load(sys.stdin):
    for stepwise in (False, True):
        tables = Simulation(load(scenario), "multi-primary", stepwise=stepwise).run()
        totals = dict(zip(tables["totals"]["quantity"], tables["totals"]["value"]))
        print(totals["requests ended"], flush=True)
"""


@pytest.mark.slow
def test_runs_end_whatever_their_load():
    loads = {
        "load that stops": {**rate(50), "phases": stop_at(2, 30)},
        "hardly any load": {"rate": "1/h"},
        "users who never think": {"arrivals": "closed", "users": 5, "think_time": "0s"},
    }
    scenarios = [mesh({"call": "db/x"}, {"compute": "10ms"}, load) for load in loads.values()]
    try:
        ran = subprocess.run(
            [sys.executable, "-c", ENDS], input=json.dumps(scenarios), capture_output=True, text=True, cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=240, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        ended = len((error.stdout or b"").splitlines())
        pytest.fail(f"this never ends: {list(loads)[ended // 2]}, {'stepwise' if ended % 2 else 'free'}")
    assert ran.returncode == 0, ran.stderr
    assert [float(line) >= 0 for line in ran.stdout.splitlines()] == [True] * 6


def test_users_who_never_think_do_not_stop_the_clock_when_everything_fails():
    """Nothing takes any time here, and the only pods refuse: an error must still cost a user something."""
    users = {"arrivals": "closed", "users": 3, "think_time": "0s"}
    scenario = mesh({"call": "db/x"}, {"compute": "0s"}, users, duration="2s")
    scenario |= {"sidecar": {"enabled": False}, "ingress": {"eu-1": {"cpu": "0s", "latency": "0s"}}}
    scenario["latency"][0]["rtt"] = "0s"
    scenario["timeline"] = [
        {"event": "service_failing", "start": "0s", "duration": "2s", "fraction": 1.0, "target": {"service": "web"}}
    ]
    requests, _, totals = run(scenario)
    assert totals["requests ended"] == requests["count"].sum() > 1000
    assert outcomes(requests).keys() == {(503, "")}
