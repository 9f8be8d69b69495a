"""What istiod knows of the clusters that it watches, while their API servers, links and secrets come and go."""

from __future__ import annotations

import pytest

from meshsim.engine.discovery import FIRST_PAUSE, LONGEST_PAUSE

QUIET = {"web": {"rate": "0.2/s"}}
NETWORKS = {"c1": {"region": "eu", "network": "n1"}, "c2": {"region": "us", "network": "n2"}}
ALL = {"c1": 4, "c2": 4}


@pytest.fixture
def quiet(run):
    """Return a function that builds a run of the small mesh with hardly any load."""

    def built(deployment="multi-primary", **changes):
        return run(deployment, **{"load": QUIET, "duration": "150s", **changes})

    return built


def known(simulation, group="c1", replica=0):
    """Return how many app pods of each cluster a replica of istiod knows."""
    shards = simulation.mesh.groups[group].istiods[replica].informers.shards("app")
    pods = [endpoint.cluster for shard in shards for endpoint in shard.endpoints]
    return {cluster: pods.count(cluster) for cluster in simulation.mesh.clusters}


def watching(simulation, simulated_at, cluster="c2", group="c1"):
    """Return the states of a watch at some times, when the simulation has run."""

    def is_open():
        return simulation.mesh.groups[group].istiods[0].informers._watches[cluster].is_open

    return [simulation.at(time, is_open) for time in simulated_at]


def pushed(simulation, group="c1"):
    """Return the times at which an istiod hears news, with what; `""` stands for everything."""
    heard = []
    istiod = simulation.mesh.groups[group].istiods[0]
    changed = istiod.informers._changed

    def noted(service, since):
        heard.append((simulation.env.now, service))
        changed(service, since)

    istiod.informers._changed = noted
    return heard


def scaled(event, at, replicas, cluster="c2"):
    return event("scale", at, target={"service": "app", "cluster": cluster}, replicas=replicas)


# --- watches ------------------------------------------------------------------------------------------------


def test_a_change_arrives_after_the_link_and_the_latency_of_the_watch(quiet, event):
    simulation = quiet(timeline=[scaled(event, "20s", 3)], kubernetes={"watch_latency": "30ms"})
    heard = pushed(simulation)
    simulation.run()
    assert heard == [(pytest.approx(20.0 + 0.030 + 0.040), "app")]  # half of 80 ms over the ocean


def test_an_older_state_is_not_taken_over_a_newer_one(quiet, event):
    """Latencies are drawn for each change: one that was slower must not undo what came after it."""
    latency = {"exponential": "3s"}
    timeline = [scaled(event, f"{20 + number}s", 12 - number) for number in range(10)]
    simulation = quiet(services=two_services(app=12), timeline=timeline, kubernetes={"watch_latency": latency})
    seen = [simulation.at(20.5 + 0.5 * number, lambda: known(simulation)["c2"]) for number in range(60)]
    simulation.run()
    counts = [value for (value,) in seen]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (12, 3)


def two_services(app=4):
    return {
        "web": {"replicas": 2, "endpoints": {"GET": {"script": [{"call": "app/GET"}]}}},
        "app": {"replicas": app, "endpoints": {"GET": {}}},
    }


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("api_server_down", {"target": {"cluster": "c2"}}),
        ("partition", {"target": {"from": {"region": "eu"}, "to": {"region": "us"}}}),
        ("partition", {"target": {"from": {"region": "eu"}, "to": {"region": "us"}}, "direction": "forward"}),
        ("link_lossy", {"target": {"from": {"region": "eu"}, "to": {"region": "us"}}, "loss": 1.0}),
        ("cluster_down", {"target": {"cluster": "c2"}}),
    ],
)
def test_what_is_known_stays_while_a_cluster_cannot_be_heard(quiet, event, kind, fields):
    timeline = [event(kind, "20s", "40s", **fields), scaled(event, "30s", 2)]
    simulation = quiet(timeline=timeline)
    stale = simulation.at(59.0, lambda: known(simulation))
    states = watching(simulation, [19.0, 21.0, 59.0, 140.0])
    simulation.run()
    assert stale == [ALL]
    assert [value for (value,) in states] == [True, False, False, True]
    assert known(simulation) == {"c1": 4, "c2": 2}


def test_a_watch_is_opened_again_after_pauses_that_double(quiet, event):
    simulation = quiet(timeline=[event("api_server_down", "20s", "100s", target={"cluster": "c2"})])
    looks = []
    informers = simulation.mesh.groups["c1"].istiods[0].informers
    reachable = informers._reachable
    informers._reachable = lambda cluster: (looks.append((simulation.env.now, cluster)), reachable(cluster))[1]
    simulation.run()
    tries = [time for time, cluster in looks if cluster == "c2" and 20.0 < time < 120.0]
    pauses = [later - earlier for earlier, later in zip([20.0, *tries], tries, strict=False)]
    limits = [min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(len(pauses))]
    assert len(pauses) >= 4
    assert all(limit <= pause <= 2.0 * limit for pause, limit in zip(pauses, limits, strict=True)), pauses


def test_what_happened_meanwhile_is_listed_when_the_api_server_answers_again(quiet, event):
    """Its own cluster changes nothing without it, so it is the link that is cut here."""
    cut = event("partition", "20s", "5s", target={"from": {"region": "eu"}, "to": {"region": "us"}})
    simulation = quiet(timeline=[cut, scaled(event, "21s", 2)])
    heard = pushed(simulation)
    simulation.run()
    (time, service), *more = heard
    assert (service, more) == ("app", [])
    assert 25.0 < time < 25.0 + 2.0 * 8 * FIRST_PAUSE


def test_a_watch_that_is_opened_again_brings_no_news_if_there_are_none(quiet, event):
    simulation = quiet(timeline=[event("api_server_down", "20s", "30s", target={"cluster": "c2"})])
    heard = pushed(simulation)
    simulation.run()
    assert heard == []


# --- start --------------------------------------------------------------------------------------------------


def started(simulation, group="c1"):
    events = simulation.mesh.recorder.tables["events"]
    return [time for time, kind, subject, _ in events if (kind, subject) == ("control plane ready", group)]


def test_a_restarted_istiod_is_ready_when_all_clusters_have_answered(quiet, event):
    simulation = quiet(timeline=[event("control_plane_down", "10s", "10s", target={"cluster": "c1"})])
    simulation.run()
    assert started(simulation) == [pytest.approx(20.0 + 5.0 + 0.080)]  # a list of c2 takes a round trip
    assert known(simulation) == ALL


@pytest.mark.parametrize(("timeout", "ready"), [("30s", 55.0), ("10s", 35.0)])
def test_a_restart_without_a_remote_api_server_waits_and_then_goes_on_without_the_cluster(quiet, event, timeout, ready):
    """Spec §4.2: ready after 30 s; the cluster's endpoints are gone, and come back when it can be listed."""
    timeline = [
        event("api_server_down", "10s", "100s", target={"cluster": "c2"}),
        event("control_plane_down", "15s", "5s", target={"cluster": "c1"}),
    ]
    simulation = quiet(timeline=timeline, istiod={"remote_cluster_timeout": timeout}, duration="200s")
    seen = simulation.at(108.0, lambda: (known(simulation), known(simulation, "c2")))
    used = simulation.at(108.0, lambda: applied(simulation))
    simulation.run()
    assert started(simulation) == [pytest.approx(ready)]
    assert seen == [({"c1": 4, "c2": 0}, ALL)]
    assert used == [{"c1": {4}, "c2": {8}}]
    assert known(simulation) == ALL
    assert applied(simulation) == {"c1": {8}, "c2": {8}}


def applied(simulation):
    """Return how many hosts of app the web pods of each cluster have."""
    found = {cluster: set() for cluster in simulation.mesh.clusters}
    for proxy in simulation.mesh.interested["app"]:
        if proxy.service == "web":
            found[proxy.client.cluster].add(len(proxy.applied["app"][0].hosts.hosts))
    return found


def test_a_cluster_that_answers_late_is_waited_for_no_longer_than_it_takes(quiet, event):
    timeline = [
        event("api_server_down", "10s", "20s", target={"cluster": "c2"}),
        event("control_plane_down", "15s", "5s", target={"cluster": "c1"}),
    ]
    simulation = quiet(timeline=timeline)
    simulation.run()
    (ready,) = started(simulation)
    assert 30.0 < ready < 55.0
    assert known(simulation) == ALL


def test_with_a_limit_of_zero_istiod_waits_for_ever(quiet, event):
    timeline = [
        event("api_server_down", "10s", "90s", target={"cluster": "c2"}),
        event("control_plane_down", "15s", "5s", target={"cluster": "c1"}),
    ]
    simulation = quiet(timeline=timeline, istiod={"remote_cluster_timeout": "0s"}, duration="200s")
    simulation.run()
    (ready,) = started(simulation)
    assert 100.0 < ready < 165.0


def test_its_own_api_server_is_waited_for_as_long_as_it_takes(quiet, event):
    timeline = [
        event("api_server_down", "10s", "90s", target={"cluster": "c1"}),
        event("control_plane_down", "15s", "5s", target={"cluster": "c1"}),
    ]
    simulation = quiet(timeline=timeline, duration="200s")
    simulation.run()
    (ready,) = started(simulation)
    assert 100.0 < ready < 165.0


# --- remote secrets -----------------------------------------------------------------------------------------


def secret(event, at, change, duration=None, **fields):
    return event(
        "remote_secret", at, duration, target={"cluster": "c2", "control_plane": "c1"}, change=change, **fields
    )


def test_a_removed_secret_takes_the_cluster_out_of_what_is_sent_at_once(quiet, event):
    simulation = quiet(timeline=[secret(event, "20s", "removed", "60s")])
    seen = simulation.at(21.0, lambda: (known(simulation), applied(simulation)))
    simulation.run()
    assert seen == [({"c1": 4, "c2": 0}, {"c1": {4}, "c2": {8}})]
    assert applied(simulation) == {"c1": {8}, "c2": {8}}


def test_an_expired_secret_freezes_the_cluster_until_istiod_restarts(quiet, event):
    timeline = [
        secret(event, "20s", "expired"), scaled(event, "30s", 2),
        event("control_plane_down", "60s", "5s", target={"cluster": "c1"}),
    ]  # fmt: skip
    simulation = quiet(timeline=timeline)
    frozen = simulation.at(59.0, lambda: known(simulation))
    simulation.run()
    assert frozen == [ALL]
    assert started(simulation) == [pytest.approx(65.0 + 5.0 + 30.0)]
    assert known(simulation) == {"c1": 4, "c2": 0}


@pytest.mark.parametrize(("picked_up", "heard"), [(True, 2), (False, 4)])
def test_a_rotated_secret_that_is_not_picked_up_is_read_at_the_next_start(quiet, event, picked_up, heard):
    """Istio#60612."""
    timeline = [
        secret(event, "20s", "rotated", picked_up=picked_up), scaled(event, "30s", 2),
        event("control_plane_down", "60s", "5s", target={"cluster": "c1"}),
    ]  # fmt: skip
    simulation = quiet(timeline=timeline)
    before = simulation.at(59.0, lambda: known(simulation)["c2"])
    simulation.run()
    assert before == [heard]
    assert started(simulation) == [pytest.approx(65.0 + 5.0 + 0.080)]
    assert known(simulation)["c2"] == 2


def test_a_secret_that_is_removed_while_istiod_starts_is_not_used(quiet, event):
    timeline = [
        event("api_server_down", "10s", "30s", target={"cluster": "c2"}),
        event("control_plane_down", "15s", "5s", target={"cluster": "c1"}),
        secret(event, "30s", "removed"),
    ]
    simulation = quiet(timeline=timeline)
    simulation.run()
    assert known(simulation) == {"c1": 4, "c2": 0}


def of_config_cluster(event, at, change, duration=None, **fields):
    return event("remote_secret", at, duration, target={"cluster": "c1"}, change=change, **fields)


@pytest.mark.parametrize(("change", "picked_up", "heard"), [
    ("removed", True, 2), ("expired", True, 4), ("rotated", False, 4), ("rotated", True, 2),
])  # fmt: skip
def test_an_external_control_plane_needs_a_good_secret_for_its_config_cluster(quiet, event, change, picked_up, heard):
    """One that is removed was read when istiod started."""
    lost = of_config_cluster(event, "20s", change, picked_up=picked_up)
    scaled = event("scale", "30s", target={"cluster": "c1", "service": "app"}, replicas=2)
    simulation = quiet("external", deployments=["external"], timeline=[lost, scaled])
    simulation.run()
    assert known(simulation, "external") == {"c1": heard, "c2": 4}
    own = [proxy for proxy in simulation.mesh.proxies.values() if proxy.client.cluster == "c1"]
    assert any(simulation.mesh.groups["external"].signs(proxy) for proxy in own) == (heard == 2)


@pytest.mark.parametrize("watches", [["c2"], []])
@pytest.mark.parametrize("change", ["removed", "expired"])
def test_an_external_istiod_does_not_start_without_a_good_secret_for_its_config_cluster(quiet, event, change, watches):
    timeline = [
        of_config_cluster(event, "10s", change, "90s"),
        event("control_plane_down", "15s", "5s", target={"control_plane": "external"}),
    ]
    planes = {"external": {"place": "eu", "serves": ["c1", "c2"], "config_cluster": "c1", "watches": watches}}
    simulation = quiet("x", deployments={"x": {"control_planes": planes}}, timeline=timeline, duration="200s")
    simulation.run()
    (ready,) = started(simulation, "external")
    assert 100.0 < ready < 165.0
    assert known(simulation, "external")["c1"] == 4


@pytest.mark.parametrize(("change", "refused"), [("expired", True), ("removed", True), ("rotated", False)])
def test_proxies_of_a_cluster_without_a_good_secret_are_refused_when_they_connect(quiet, event, change, refused):
    """Spec §5.5: of a primary-remote's remote cluster; its streams go on until they end."""
    timeline = [
        event("remote_secret", "10s", target={"cluster": "c2"}, change=change),
        event("gateway_down", "50s", "5s", target={"cluster": "c1"}),
    ]
    simulation = quiet("primary-remote", timeline=timeline)
    disconnected = simulation.mesh.recorder.disconnected
    before = simulation.at(49.0, lambda: disconnected["c2"].value)
    simulation.run()
    assert before == [0]
    own = [proxy for proxy in simulation.mesh.proxies.values() if proxy.client.cluster == "c2"]
    assert disconnected["c2"].value == (len(own) if refused else 0)
    assert disconnected["c1"].value == 0
    group = simulation.mesh.groups["c1"]
    assert any(group.signs(proxy) for proxy in own) != refused


# --- gateways -----------------------------------------------------------------------------------------------


def test_other_gateway_addresses_are_pushed_to_everybody_with_a_new_context(quiet, event):
    change = event("gateway_address_change", "20s", target={"cluster": "c2"})
    simulation = quiet(clusters=NETWORKS, timeline=[change])
    heard = pushed(simulation)
    tables = simulation.run()
    assert heard == [(pytest.approx(20.0 + 0.010 + 0.040), "")]
    rows = tables["control_planes"]
    full = dict.fromkeys(("c1", "c2"), 0)
    for name, pushes in zip(rows["control_plane"], rows["full_pushes"], strict=True):
        full[name] += pushes
    assert full == {"c1": 1, "c2": 1}
    assert simulation.stale() == {"c1": 0, "c2": 0}
    assert len(set(simulation.mesh.groups["c1"].istiods[0].informers.gateways())) == 2
