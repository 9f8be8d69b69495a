from __future__ import annotations

import pytest

NETWORKS = {"c1": {"region": "eu", "network": "n1"}, "c2": {"region": "us", "network": "n2"}}
QUIET = {"web": {"rate": "0.2/s"}}
THREE = {"c1": {"replicas": 3, "autoscale": None}, "c2": {"replicas": 3, "autoscale": None}}


@pytest.fixture
def networked(run):
    """Return a function that builds a run of two networks."""
    return lambda deployment="multi-primary", **changes: run(
        deployment, **{"clusters": NETWORKS, "load": QUIET, **changes}
    )


def alive(simulation, cluster):
    replicas = simulation.mesh.gateways[cluster].replicas
    return [int(simulation.mesh.plane.proxies[proxy.number].alive) for proxy in replicas]


def test_some_replicas_of_a_gateway_are_lost(networked, event):
    timeline = [event("gateway_down", "10s", "30s", target={"cluster": "c1"}, replicas=2)]
    simulation = networked(timeline=timeline, gateways=THREE)
    seen = [simulation.at(20.0, lambda name=name: alive(simulation, name)) for name in ("c1", "c2")]
    simulation.run()
    assert [value for (value,) in seen] == [[0, 0, 1], [1, 1, 1]]
    assert alive(simulation, "c1") == [1, 1, 1]


def test_replicas_that_are_not_scaled_up_do_not_count_among_those_that_are_lost(networked, event):
    gateways = {"c1": {"replicas": 2, "autoscale": {"max_replicas": 4}}}
    timeline = [event("gateway_down", "10s", "30s", target={"cluster": "c1"}, replicas=2)]
    simulation = networked(timeline=timeline, gateways=gateways)
    seen = simulation.at(20.0, lambda: alive(simulation, "c1"))
    simulation.run()
    assert seen == [[0, 0, 0, 0]]
    assert alive(simulation, "c1") == [1, 1, 0, 0]


def test_the_gateway_of_a_primary_leads_to_its_control_plane(networked, event):
    timeline = [event("gateway_down", "10s", "40s", target={"cluster": "c1"})]
    simulation = networked("primary-remote", timeline=timeline)
    levels = simulation.mesh.recorder.disconnected
    seen = [simulation.at(30.0, lambda name=name: levels[name].value) for name in ("c1", "c2")]
    simulation.run()
    assert seen[0] == [0]
    assert seen[1][0] > 0
    assert levels["c2"].value == 0


def test_the_gateway_of_an_external_control_plane_is_named_by_it(networked, event):
    timeline = [event("gateway_down", "10s", "40s", target={"control_plane": "external"})]
    simulation = networked("external", timeline=timeline, deployments=["external"])
    levels = simulation.mesh.recorder.disconnected
    seen = [simulation.at(30.0, lambda name=name: levels[name].value) for name in ("c1", "c2")]
    east_west = simulation.at(30.0, lambda: alive(simulation, "c1")[0])
    simulation.run()
    assert min(seen[0] + seen[1]) > 0
    assert east_west == [1]
    assert [level.value for level in levels.values()] == [0, 0]


@pytest.mark.parametrize("mode", ["blackhole", "refuse"])
def test_clients_learn_of_a_gateways_new_address(networked, event, mode):
    timeline = [event("gateway_address_change", "10s", "40s", target={"cluster": "c2"}, mode=mode)]
    simulation = networked(timeline=timeline)
    mesh = simulation.mesh

    def hosts():
        proxy = next(
            proxy for proxy in mesh.proxies.values() if proxy.service == "web" and proxy.client.cluster == "c1"
        )
        (view,) = proxy.applied["app"]
        return {int(host) for host in view.hosts.hosts if host < 0}, int(mesh.gateways["c2"].addresses[0])

    before, meanwhile, after = (simulation.at(time, hosts) for time in (9.0, 20.0, 60.0))
    simulation.run()
    assert before == after
    assert before[0][0].isdisjoint(meanwhile[0][0])
    assert before[0][1] != meanwhile[0][1]
    assert all(value == 0 for value in simulation.stale().values())


def test_moves_of_a_gateway_that_overlap_end_at_the_first_address(networked, event):
    timeline = [
        event("gateway_address_change", "10s", "30s", target={"cluster": "c2"}),
        event("gateway_address_change", "20s", "40s", target={"cluster": "c2"}),
    ]
    simulation = networked(timeline=timeline)

    def address():
        (number,) = simulation.mesh.gateways["c2"].addresses
        return number, int(simulation.mesh.plane.world.gateways[number].closed)

    seen = [simulation.at(time, address) for time in (5.0, 15.0, 30.0, 50.0, 70.0)]
    simulation.run()
    first, second, third, still, last = [value for (value,) in seen]
    assert len({first, second, third}) == 3
    assert (still, last) == (third, first)
    assert {closed for _, closed in (first, second, third)} == {0}


def test_a_gateway_that_is_silent_when_it_moves_is_not_when_it_is_back(networked, event):
    timeline = [
        event("gateway_down", "10s", "40s", target={"cluster": "c2"}, mode="blackhole"),
        event("gateway_address_change", "20s", "60s", target={"cluster": "c2"}),
    ]
    simulation = networked(timeline=timeline)

    def down():
        return [int(simulation.mesh.plane.world.gateways[n].down) for n in simulation.mesh.gateways["c2"].addresses]

    seen = [simulation.at(time, down) for time in (5.0, 30.0, 60.0, 90.0)]
    simulation.run()
    calm, silent, moved, back = [value for (value,) in seen]
    assert silent != calm
    assert moved == back == calm


def test_a_gateway_without_addresses_cannot_move(run, event):
    simulation = run("primary-remote", timeline=[event("gateway_address_change", "10s", target={})], load=QUIET)
    assert "event has no target" in simulation.run()["events"]["kind"]
