from __future__ import annotations

import pytest

from meshsim.engine.environment import Environment
from meshsim.engine.streams import Streams


def test_a_stream_belongs_to_its_name_seed_and_replication():
    draws = {
        Streams(seed, replication).of(name).random()
        for seed in (1, 2) for replication in (0, 1) for name in ("a", "b", "a/b")
    }  # fmt: skip
    assert len(draws) == 12
    assert Streams(1, 0).of("a").random() == Streams(1, 0).of("a").random()


def test_a_stream_does_not_move_when_others_are_used():
    streams = Streams(1, 0)
    streams.of("b").random(100)
    assert streams.of("a").random() == Streams(1, 0).of("a").random()


def test_events_at_absolute_times_happen_exactly_then():
    env = Environment()
    seen = []

    def wait():
        for number in range(1, 50):
            yield env.at(number * 0.1)
            seen.append(env.now)

    env.process(wait())
    env.run()
    assert seen == [number * 0.1 for number in range(1, 50)]


@pytest.mark.sample(1)
@pytest.mark.parametrize("deployment", ["multi-primary", "primary-remote"])
def test_stepping_through_requests_changes_no_number(run, deployment, event):
    from meshsim.engine.simulation import Simulation
    from meshsim.scenario import load

    timeline = [event("cluster_down", "5s", "10s", target={"cluster": "c2"})]
    scenario = run(deployment, timeline=timeline, duration="30s").scenario
    tables = [Simulation(scenario, deployment, stepwise=stepwise).run() for stepwise in (False, True)]
    for name in ("requests", "calls", "totals", "latency"):
        for column in tables[0][name]:
            assert list(tables[0][name][column]) == list(tables[1][name][column]), (name, column)
    assert load(scenario.resolved()).hash == scenario.hash
