"""Streams of proxies to istiod: how they connect, what ends them, and what they miss meanwhile (spec §5.1, §5.4)."""

from __future__ import annotations

import math

import pytest

from meshsim.engine.xds import FIRST_PAUSE, KEEPALIVE, LONGEST_PAUSE

RARE = {"web": {"rate": "0.01/s"}}
OCEAN = {"from": {"region": "eu"}, "to": {"region": "us"}}
MINUTE = 60.0


@pytest.fixture
def quiet(run):
    """Return a function that builds a run of the small mesh with hardly any load, and streams that last."""

    def built(deployment="multi-primary", **changes):
        istiod = {"stream_age": "100h", **changes.pop("istiod", {})}
        return run(deployment, **{"load": RARE, "duration": "150s", "istiod": istiod, **changes})

    return built


def many(c1=2, c2=2):
    return {
        "web": {"replicas": {"c1": c1, "c2": c2}, "endpoints": {"GET": {"script": [{"call": "app/GET"}]}}},
        "app": {"replicas": 4, "endpoints": {"GET": {}}},
    }


def disconnected(simulation):
    return {name: level.value for name, level in simulation.mesh.recorder.disconnected.items()}


def proxies(simulation, cluster):
    return [proxy for proxy in simulation.mesh.proxies.values() if proxy.client.cluster == cluster]


def lost(simulation, cluster="c1"):
    """Return the times at which streams of a cluster end."""
    times = []
    for proxy in proxies(simulation, cluster):
        _note(simulation, proxy.stream, times)
    return times


def _note(simulation, stream, times):
    lose = stream.lose

    def noted():
        if stream.istiod is not None:
            times.append(simulation.env.now)
        lose()

    stream.lose = noted


def connected(simulation, cluster="c1"):
    """Return the times at which streams of a cluster begin, those at time zero left out."""
    times = []
    for group in simulation.mesh.groups.values():
        for istiod in group.istiods:
            _note_start(simulation, istiod, cluster, times)
    return times


def _note_start(simulation, istiod, cluster, times):
    connect = istiod.connect

    def noted(stream):
        if stream.proxy.client.cluster == cluster:
            times.append(simulation.env.now)
        connect(stream)

    istiod.connect = noted


def scaled(event, at, replicas=5, cluster="c2"):
    return event("scale", at, target={"service": "app", "cluster": cluster}, replicas=replicas)


# --- connecting ---------------------------------------------------------------------------------------------


def test_a_new_proxy_is_configured_after_two_round_trips_a_token_review_and_what_istiod_makes(quiet):
    simulation = quiet("primary-remote", istiod={"push_time": "10ms", "push_time_per_service": "1ms"})
    simulation.run()
    far, seen = proxies(simulation, "c2")[0], []

    def join():
        seen.append(simulation.env.now)
        yield simulation.mesh.groups["c1"].connect(far)
        seen.append(simulation.env.now)

    far.stream.end()
    simulation.env.process(join())
    simulation.env.run(until=400.0)
    # TCP and TLS, the review by c2's own API server, the request, 10 ms and two services, the answer: 80 ms each way
    assert seen[1] - seen[0] == pytest.approx(2 * 0.080 + 0.080 + 0.012 + 0.080, abs=1e-9)


def test_pauses_of_a_proxy_are_drawn_up_to_a_limit_that_doubles(quiet, event):
    simulation = quiet(
        timeline=[event("control_plane_down", "10s", "1000s", target={"cluster": "c1"})], duration="900s"
    )
    group, tries = simulation.mesh.groups["c1"], {}
    choose = group.choose

    def noted(random):
        tries.setdefault(id(random), []).append(simulation.env.now)
        return choose(random)

    group.choose = noted
    simulation.run()
    assert len(tries) == len(proxies(simulation, "c1"))
    shares = []
    for times in tries.values():
        pauses = [later - earlier for earlier, later in zip([10.0, *times], times, strict=False)]
        limits = [min(FIRST_PAUSE * 2.0**number, LONGEST_PAUSE) for number in range(len(pauses))]
        assert all(0.0 <= pause <= limit for pause, limit in zip(pauses, limits, strict=True))
        shares += [pause / limit for pause, limit in zip(pauses, limits, strict=True)]
    assert sum(shares) / len(shares) == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / len(shares)))


def test_streams_beyond_the_rate_limit_are_refused_and_come_again(quiet, event):
    timeline = [event("control_plane_down", "10s", "1s", target={"cluster": "c1"})]
    simulation = quiet(services=many(c1=150), timeline=timeline, istiod={"cpu": 1, "restart_time": "0s"})
    starts = connected(simulation)
    rows = simulation.run()["control_planes"]
    of_c1 = [row for row, name in enumerate(rows["control_plane"]) if name == "c1"]
    assert sum(rows["refused_connections"][row] for row in of_c1) > 50
    assert len(starts) == 150 + 4 + 1
    assert disconnected(simulation) == {"c1": 0, "c2": 0}


def test_no_more_streams_are_accepted_than_the_rate(quiet, event):
    timeline = [event("control_plane_down", "10s", "10s", target={"cluster": "c1"})]
    simulation = quiet(services=many(c1=150), timeline=timeline, istiod={"cpu": 1})
    starts = connected(simulation)
    simulation.run()
    starts.sort()
    assert len(starts) == 150 + 4 + 1
    for count in (20, 40, 80):  # 20 a second with one processor, and one that need not wait
        spans = [later - earlier for earlier, later in zip(starts, starts[count:], strict=False)]
        assert min(spans) >= count / 20.0 - 0.06  # the way from the limiter on differs by zone


def test_a_token_that_cannot_be_reviewed_is_refused(quiet, event):
    """Of primary-remote's remote cluster: istiod is well, the API server of the proxy's own cluster is not."""
    timeline = [
        event("api_server_down", "10s", "100s", target={"cluster": "c2"}),
        event("gateway_down", "20s", "5s", target={"cluster": "c1"}),
    ]
    simulation = quiet("primary-remote", timeline=timeline)
    seen = simulation.at(109.0, lambda: disconnected(simulation))
    simulation.run()
    assert seen == [{"c1": 0, "c2": len(proxies(simulation, "c2"))}]
    assert disconnected(simulation) == {"c1": 0, "c2": 0}


# --- age ----------------------------------------------------------------------------------------------------


def test_streams_end_within_33_minutes_and_are_of_all_ages_at_the_start(quiet):
    simulation = quiet(services=many(c1=150), duration="2400s", istiod={"stream_age": "30m"})
    ends = {}
    for proxy in proxies(simulation, "c1"):
        times = ends[proxy.name] = []
        _note(simulation, proxy.stream, times)
    simulation.run()
    firsts = [times[0] for times in ends.values()]
    assert max(firsts) <= 33 * MINUTE
    # ages are uniform at the start, but for the spread of ±10 %
    assert sum(firsts) / len(firsts) == pytest.approx(15 * MINUTE, rel=0.1)
    assert sum(time < 10 * MINUTE for time in firsts) / len(firsts) == pytest.approx(1 / 3, abs=0.1)
    spans = [later - earlier for earlier, later in ((times[0], times[1]) for times in ends.values() if len(times) > 1)]
    assert spans
    assert all(27 * MINUTE <= span <= 33 * MINUTE + 1 for span in spans)


@pytest.mark.sample(1)
@pytest.mark.parametrize(("minutes", "least", "most"), [(10, 0.23, 0.43), (40, 1.0, 1.0)])
def test_an_api_server_that_is_away_cuts_the_proxies_of_its_cluster_off_as_their_streams_end(
    quiet, event, minutes, least, most
):
    """Spec §5.5: all within 33 minutes, a third of them in ten, though istiod is well; the others hear of nothing."""
    timeline = [event("api_server_down", "60s", f"{minutes}m", target={"cluster": "c2"})]
    simulation = quiet(
        "primary-remote", services=many(c2=150), timeline=timeline, duration=f"{minutes + 5}m",
        istiod={"cpu": 64, "stream_age": "30m"},
    )  # fmt: skip
    seen = simulation.at(minutes * MINUTE + 59.0, lambda: disconnected(simulation))
    simulation.run()
    away = seen[0]["c2"] / len(proxies(simulation, "c2"))
    assert least <= away <= most
    assert seen[0]["c1"] == 0
    assert disconnected(simulation) == {"c1": 0, "c2": 0}


# --- silence ------------------------------------------------------------------------------------------------


def test_a_reset_ends_streams_at_once_and_silence_when_keep_alive_notices(quiet, event):
    cut = event("partition", "10s", "100s", target=OCEAN)
    refuse = event("gateway_down", "10s", "100s", target={"cluster": "c1"})
    for timeline, at in (([cut], 10.0 + KEEPALIVE), ([refuse], 10.0)):
        simulation = quiet("primary-remote", timeline=timeline)
        times = lost(simulation, "c2")
        simulation.run()
        assert times == [pytest.approx(at)] * len(proxies(simulation, "c2"))


def test_a_gateway_that_swallows_everything_is_noticed_by_keep_alive(quiet, event):
    down = event("gateway_down", "10s", "100s", target={"cluster": "c1"}, mode="blackhole")
    simulation = quiet("primary-remote", timeline=[down])
    times = lost(simulation, "c2")
    simulation.run()
    assert times == [pytest.approx(10.0 + KEEPALIVE)] * len(proxies(simulation, "c2"))
    assert disconnected(simulation) == {"c1": 0, "c2": 0}


def test_a_short_cut_ends_no_stream_and_what_was_pushed_meanwhile_arrives(quiet, event):
    timeline = [event("partition", "10s", "35s", target=OCEAN), scaled(event, "15s", cluster="c1")]
    simulation = quiet("primary-remote", timeline=timeline, istio_version="1.30")
    times = lost(simulation, "c2")
    behind = simulation.at(44.9, simulation.stale)
    caught_up = simulation.at(45.2, simulation.stale)
    simulation.run()
    assert times == []
    assert behind == [{"c1": 0, "c2": 2}]  # two web pods call app, whose new pod is ready at 25 s
    assert caught_up == [{"c1": 0, "c2": 0}]


def test_keep_alive_counts_from_the_last_silence(quiet, event):
    timeline = [event("partition", "10s", "30s", target=OCEAN), event("partition", "41s", "30s", target=OCEAN)]
    simulation = quiet("primary-remote", timeline=timeline)
    times = lost(simulation, "c2")
    simulation.run()
    assert times == []


def test_who_connects_into_silence_gives_up_after_twenty_seconds(quiet, event):
    simulation = quiet("primary-remote", timeline=[event("partition", "10s", "100s", target=OCEAN)])
    starts = connected(simulation, "c2")
    simulation.run()
    assert len(starts) == len(proxies(simulation, "c2"))
    # A try lasts 20 s, and the pause before the next 30 s at most.
    assert 110.0 < min(starts) <= max(starts) < 110.0 + 20.0 + 30.0 + 1.0


# --- hearing ------------------------------------------------------------------------------------------------


def test_a_proxy_that_connects_gets_everything_that_it_missed(quiet, event):
    timeline = [event("gateway_down", "10s", "50s", target={"cluster": "c1"}), scaled(event, "15s", cluster="c1")]
    simulation = quiet("primary-remote", timeline=timeline)
    before = simulation.at(59.0, simulation.stale)
    simulation.run()
    assert before == [{"c1": 1, "c2": 2}]  # the lost gateway itself, and two web pods
    assert simulation.stale() == {"c1": 0, "c2": 0}


def test_a_list_that_was_sent_later_never_arrives_earlier(quiet, event):
    """The link is slow when the first update leaves, and fast when the second does."""
    slow = event("link_slow", "10s", "15500ms", target=OCEAN, delay="3s")
    timeline = [slow, scaled(event, "15s", 5, "c1"), scaled(event, "15300ms", 6, "c1")]
    simulation = quiet("primary-remote", timeline=timeline, istio_version="1.30")
    counts = []
    apply = simulation.mesh.apply

    def noted(proxy, service, view):
        if service == "app" and proxy.client.cluster == "c2":
            counts.append((proxy.number, len(view[0].hosts.hosts)))
        return apply(proxy, service, view)

    simulation.mesh.apply = noted
    simulation.run()
    for number in {number for number, _ in counts}:
        seen = [count for proxy, count in counts if proxy == number]
        assert seen == sorted(seen)
        assert seen[-1] == 10


def test_a_pod_that_goes_leaves_no_count_behind(quiet, event):
    timeline = [
        event("control_plane_down", "10s", "40s", target={"cluster": "c1"}),
        event("scale", "15s", target={"service": "web", "cluster": "c1"}, replicas=1),
    ]
    simulation = quiet(timeline=timeline)
    without = simulation.at(40.0, lambda: disconnected(simulation))
    simulation.run()
    assert without == [{"c1": 2 + 4 + 1 - 1, "c2": 0}]  # web, app and the ingress, less the one that is gone
    assert disconnected(simulation) == {"c1": 0, "c2": 0}
    record = simulation.mesh.recorder.control_planes["c1"]
    assert record.connected.value == len(proxies(simulation, "c1"))


# --- convergence --------------------------------------------------------------------------------------------


def converged(simulation):
    """Return when proxies apply updates that change something, with how long after the change that is."""
    seen = []
    note = simulation.mesh.recorder.converged

    def noted(cluster, seconds):
        seen.append((simulation.env.now, seconds))
        note(cluster, seconds)

    simulation.mesh.recorder.converged = noted
    return seen


def secret(event, at, change, duration=None):
    return event("remote_secret", at, duration, target={"cluster": "c2", "control_plane": "c1"}, change=change)


def restart(event, at, seconds):
    return event("control_plane_down", f"{at}s", f"{seconds}s", target={"cluster": "c1"})


@pytest.mark.parametrize("shift", [0, 600])
@pytest.mark.parametrize("change", ["expired", "removed"])
def test_convergence_after_a_start_without_a_cluster_does_not_tell_how_late_it_is(quiet, event, change, shift):
    """Services never changed: what counts is when the new process knew less, and when it heard of them again."""
    at = 20 + shift
    timeline = [secret(event, f"{at}s", change, "100s"), restart(event, at + 10, 5)]
    simulation = quiet(timeline=timeline, duration=f"{260 + shift}s")
    seen = converged(simulation)
    simulation.run()
    times, seconds = zip(*seen, strict=True)
    assert min(times) < at + 100.0 < max(times)
    assert max(seconds) < LONGEST_PAUSE, seen


def test_convergence_at_another_replica_counts_from_the_end_of_the_stream(quiet, event):
    """Of two replicas one has started without the other cluster; who comes from there to the other has no change."""
    timeline = [
        secret(event, "620s", "expired"),
        event("control_plane_down", "630s", "5s", target={"cluster": "c1"}, replicas=1),
    ]
    simulation = quiet(timeline=timeline, istiod={"replicas": 2, "stream_age": "200s"}, duration="1400s")
    seen, ends = converged(simulation), lost(simulation)
    simulation.run()
    later = [(time, seconds) for time, seconds in seen if time > 700.0]
    assert later
    assert all(any(abs(time - seconds - end) < 1e-6 for end in ends) for time, seconds in later), later


def test_what_changed_while_a_proxy_was_away_counts_from_the_change(quiet, event):
    timeline = [
        event("gateway_down", "20s", "40s", target={"cluster": "c1"}),
        scaled(event, "30s", 3, "c1"),
    ]
    simulation = quiet("primary-remote", timeline=timeline)
    seen = converged(simulation)
    simulation.run()
    late = [(time, seconds) for time, seconds in seen if time > 60.0]
    assert late
    assert all(time - seconds == pytest.approx(30.0) for time, seconds in late), late


def test_what_waits_in_the_push_queue_when_a_stream_ends_counts_from_the_change(quiet, event):
    """The replica that pushes is slow, and gone before it sends; the other one has heard of the change as well."""
    timeline = [
        scaled(event, "20s", 3, "c1"),
        event("control_plane_down", "24s", "60s", target={"cluster": "c1"}, replicas=1),
    ]
    simulation = quiet(timeline=timeline, istiod={"replicas": 2, "push_time": "6s"})
    seen = converged(simulation)
    simulation.run()
    assert {round(time - seconds, 3) for time, seconds in seen} == {20.0}


def test_what_a_list_tells_counts_from_then_as_the_outage_shows_in_staleness(quiet, event):
    timeline = [event("partition", "20s", "15s", target=OCEAN), scaled(event, "21s", 3)]
    simulation = quiet(timeline=timeline)
    seen = converged(simulation)
    simulation.run()
    near, far = ([seconds for time, seconds in seen if (time > 30.0) == late] for late in (False, True))
    assert near
    assert far
    assert max(near) < 1.0
    assert max(far) < 1.0


def test_other_gateway_addresses_count_from_the_change(quiet, event):
    networks = {"c1": {"region": "eu", "network": "n1"}, "c2": {"region": "us", "network": "n2"}}
    change = event("gateway_address_change", "20s", target={"cluster": "c2"})
    simulation = quiet(clusters=networks, timeline=[change])
    seen = converged(simulation)
    simulation.run()
    assert seen
    assert all(time - seconds == pytest.approx(20.0) for time, seconds in seen), seen
