from __future__ import annotations

import numpy as np
import pytest

BOTH = {"from": {"region": "eu"}, "to": {"region": "us"}}


def cut(simulation):
    return simulation.mesh.network.records["cut"].tolist()


def test_links_of_two_events_add_up(run, event):
    timeline = [
        event("link_slow", "10s", "50s", target=BOTH, delay="10ms", jitter="4ms"),
        event("link_slow", "20s", "20s", target=BOTH, delay="5ms", jitter="2ms", factor=2.0),
        event("link_lossy", "20s", "20s", target=BOTH, loss="50%"),
        event("link_lossy", "20s", "20s", target=BOTH, loss="50%"),
    ]
    simulation = run(timeline=timeline)
    link = simulation.mesh.network.records[0, 2]
    seen = simulation.at(30.0, lambda: (link.delay, link.jitter, link.factor, link.loss))
    simulation.run()
    np.testing.assert_allclose(seen[0], (0.015, 0.006, 2.0, 0.75))


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("both", [[0, 0, 1], [0, 0, 1], [1, 1, 0]]), ("forward", [[0, 0, 1], [0, 0, 1], [0, 0, 0]])],
)
def test_a_partition_cuts_the_way_back_unless_told_otherwise(run, event, direction, expected):
    simulation = run(timeline=[event("partition", "10s", "20s", target=BOTH, direction=direction)])
    seen = simulation.at(15.0, lambda: cut(simulation))
    simulation.run()
    assert seen == [expected]


def test_a_place_is_cut_off_from_itself_only_if_it_is_both_ends(run, event):
    within = {"from": {"zone": "eu/a"}, "to": {"zone": "eu/a"}}
    simulation = run(timeline=[event("partition", "10s", "20s", target=within)])
    seen = simulation.at(15.0, lambda: cut(simulation))
    simulation.run()
    assert seen == [[[1, 0, 0], [0, 0, 0], [0, 0, 0]]]


@pytest.mark.parametrize("direction", ["both", "forward"])
def test_a_connection_needs_both_directions(run, event, direction):
    """Remote proxies lose their streams when either what they say or what they hear is lost."""
    timeline = [event("partition", "10s", "80s", target=BOTH, direction=direction)]
    simulation = run("primary-remote", timeline=timeline)
    lost = simulation.at(60.0, lambda: simulation.mesh.recorder.disconnected["c2"].value)
    simulation.run()
    assert lost[0] > 0
    assert simulation.mesh.recorder.disconnected["c1"].value == 0
    assert simulation.mesh.recorder.disconnected["c2"].value == 0


def test_a_region_where_nothing_runs_needs_no_latency_and_its_faults_hit_nobody(run, event):
    regions = {"eu": {"zones": ["a", "b"]}, "us": {"zones": ["a"]}, "spare": {"zones": ["a", "b"]}}
    ends = {"from": {"region": "spare"}, "to": {"region": "eu"}}
    faults = [
        event("link_slow", "5s", "10s", target=ends, factor=3),
        event("partition", "6s", "10s", target=ends),
        event("region_outage", "7s", "10s", target={"region": "spare"}),
    ]

    def succeeded(**changes):
        simulation = run(duration="30s", **changes)
        simulation.run()
        return int(simulation.mesh.plane.pods["served"].sum())

    assert succeeded(regions=regions, timeline=faults) == succeeded() > 300
