from __future__ import annotations

import time

import pytest

import meshsim
from meshsim.cli_shared import say_how_long
from meshsim.engine.simulation import Simulation
from meshsim.experiment.engines import Dask
from meshsim.experiment.projection import Projection, expected_calls, project, try_out
from meshsim.report.projection import line
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document

WEB = {"replicas": 2, "endpoints": {"GET /": {"script": [{"call": "db/get", "count": 1.5}]}}}
TWO = {**EXAMPLE, "services": {"web": WEB, "db": {"endpoints": {"get": {}}}}, "duration": "1000s"}


def calls(**changes):
    return expected_calls(Document.model_validate({**TWO, **changes}))


def load(**changes):
    return {"web": {"rate": "10/s", **changes}}


def test_calls_are_those_of_the_call_graph():
    assert calls() == 10 * 1000 * 2.5


def test_actions_of_several_requests_make_several():
    two = {"look": {"requests": ["GET /"]}, "buy": {"requests": ["GET /", "GET /"], "weight": 3}}
    assert calls(load=load(actions=two)) == pytest.approx(10 * 1000 * 1.75 * 2.5)


@pytest.mark.parametrize(
    ("phase", "factor"),
    [
        ({"spike": {"start": "200s", "duration": "100s", "factor": 3}}, 1.2),
        ({"ramp": {"start": "0s", "duration": "1000s", "to": 2}}, 1.5),
        ({"diurnal": {"period": "1000s"}}, 1.0),
    ],
)
def test_the_curve_of_the_load_counts(phase, factor):
    assert calls(load=load(phases=[phase])) == pytest.approx(25_000 * factor, rel=0.01)


def test_a_surge_counts_for_the_clusters_that_it_meets():
    clusters = {"eu-1": {"region": "eu"}, "eu-2": {"region": "eu"}}
    surge = {"event": "traffic_surge", "start": "100s", "duration": "100s", "factor": 5, "target": {"cluster": "eu-2"}}
    assert calls(clusters=clusters, timeline=[surge]) == pytest.approx(25_000 * 1.2, rel=0.01)


def test_only_load_in_windows_counts():
    sampled = {"windows": [{"at": "500s", "duration": "60s"}], "lead_in": "40s"}
    assert calls(sample=sampled) == 10 * 100 * 2.5


def test_the_bundled_day_is_a_billion_calls_and_a_thirtieth_of_it_in_windows():
    whole, windows = (
        expected_calls(meshsim.load("online-boutique-day", changes).document) for changes in (["sample=null"], [])
    )
    assert 1e9 < whole < 1.3e9
    assert windows < whole / 20


def test_a_short_run_is_not_tried_and_nothing_is_said():
    assert project(meshsim.load(TWO), "hybrid", 3) is None


def test_runs_at_the_same_time_take_less(monkeypatch):
    cost = try_out(meshsim.load(TWO), "hybrid")
    monkeypatch.setattr("meshsim.experiment.projection.try_out", lambda *_: cost)
    one, two = (project(meshsim.load(TWO), "hybrid", 4, at_once=number, least=0.0) for number in (1, 2))
    assert one.seconds == pytest.approx(2 * two.seconds)
    assert one.calls == two.calls == 4 * 25_000
    assert line(two).endswith("(100 thousand calls in 4 runs, 2 at once)")


@pytest.mark.slow
def test_windows_are_offered_where_events_are_rare():
    down = {"event": "cluster_down", "start": "10h", "duration": "1m", "target": {"cluster": "eu-1"}}
    found = project(meshsim.load({**TWO, "duration": "24h", "timeline": [down]}), "hybrid", 1, least=0.0)
    assert found.in_windows < found.seconds / 3
    assert line(found).endswith(": see docs/sampling.md")


@pytest.mark.slow
def test_a_long_run_is_worth_a_word():
    found = project(meshsim.load({**TWO, "duration": "100d"}), "hybrid", 1)
    assert found.seconds > 20
    assert found.calls == pytest.approx(2.16e8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "online-boutique",
        "online-boutique-primary-outage",
        "hotel-reservation-gateway-loss",
        "social-network",
        "three-tier",
    ],
)
def test_the_projection_holds_within_a_factor_of_two(name):
    """Of processor time, which other work on the machine changes less than time."""
    scenario = meshsim.load(name)
    deployment = next(iter(scenario.document.deployments))
    found = project(scenario, deployment, 1, least=0.0)
    began = time.process_time()
    simulation = Simulation(scenario, deployment)
    simulation.run()
    assert found.seconds / 2 < time.process_time() - began < 2 * found.seconds
    assert found.calls == pytest.approx(int(simulation.mesh.plane.world.clock[0].calls_ended), rel=0.1)


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (None, "about 5 min on this machine"),
        (Dask("tcp://10.0.0.1:1"), "about 5 min of one processor like this machine's"),
    ],
)
def test_the_command_line_says_it_before_it_starts(monkeypatch, capsys, by, said):
    asked = []

    def projected(*given, **more):
        asked.append((given, more))
        return Projection(300.0, 2e8, 6, 1)

    monkeypatch.setattr("meshsim.experiment.projection.project", projected)
    say_how_long(meshsim.load(TWO), "hybrid", 6, by)
    assert capsys.readouterr().err == f"{said} (200 million calls in 6 runs)\n"
    assert asked[0][0][1:] == ("hybrid", 6)
