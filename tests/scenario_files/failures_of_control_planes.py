"""Rows of the failure table about istiod, what it signs, what it knows and what it is told."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.scenario_files.failures import (
    BACK,
    END,
    EVERY,
    EX,
    FAILS,
    FIRST_EXPIRY,
    FRONTEND_GOES,
    HY,
    LAST_EXPIRY,
    MODELS,
    MP,
    POD_GOES,
    PR,
    SCALED,
    STREAMS_OVER,
    Run,
    cell,
    certificates_are_renewed,
    certificates_run_out,
    configuration_arrives,
    configuration_is_applied,
    configuration_is_late,
    configuration_is_refused,
    endpoints_are_followed,
    endpoints_are_frozen,
    only_new_handshakes_fail,
    pods_are_rejected,
    pods_start,
    pods_wait,
    ran,
    share,
    traffic_goes_on,
)

# --- istiod of A, all replicas -------------------------------------------------------------------------------------


@cell("istiod-down", (*MODELS, HY), "T")
def istiod_down_traffic_goes_on(run: Run) -> None:
    """§5.5 "T ok (stale)"; §0.16: on the last configuration."""
    traffic_goes_on(run, EVERY, FIRST_EXPIRY)


@cell("istiod-down", (*MODELS, HY), "P")
def istiod_down_pods(run: Run) -> None:
    """§5.5 "P rejected": in the clusters of that control plane, whichever they are; elsewhere pods start."""
    pods_are_rejected(run, run.served)
    pods_start(run, run.others)


@cell("istiod-down", (*MODELS, HY), "E")
def istiod_down_endpoints(run: Run) -> None:
    """§5.5 "E frozen for A's proxies (local and remote)": the second change makes the ingress stale as well."""
    endpoints_are_frozen(run, run.served)
    assert run.level("stale", "eu-1", SCALED - 0.5) > run.level("stale", "eu-1", FRONTEND_GOES - 0.5)


@cell("istiod-down", (*MODELS, HY), "R")
def istiod_down_certificates(run: Run) -> None:
    """§5.5 "R stalls (12 to 24 h)": here 10 to 20 min; §5.2 "only new handshakes fail"."""
    certificates_run_out(run, run.served)
    only_new_handshakes_fail(run, run.served)
    assert run.istiod("certificates", run.plane, FAILS, BACK) == 0


@cell("istiod-down", MP, "R: who notices")
def istiod_down_expired_clients_and_servers(run: Run) -> None:
    """§5.2, §3.3: what a server notices is found out after the request was sent, what a client notices before."""
    by_expired = run.calls(LAST_EXPIRY + 0.5, BACK, source_cluster="eu-1", destination="audit")
    assert set(by_expired["response_flag"]) == {"UC"}
    by_valid = run.calls(LAST_EXPIRY + 0.5, BACK, source_cluster="eu-2", destination="audit")
    assert share(by_valid) > 0.999
    assert by_valid["attempts"].sum() > 1.2 * by_valid["count"].sum()


@cell("istiod-down", (*MODELS, HY), "C")
def istiod_down_configuration(run: Run) -> None:
    """§5.5 "C rejected in A"; §5.3: nothing validates it."""
    configuration_is_refused(run, run.plane)
    configuration_is_late(run, run.served)


@cell("istiod-down", (MP, HY), "B")
def istiod_down_others_do_not_notice(run: Run) -> None:
    """§5.5 "B: unaffected, still sees A's endpoints (watches A's API)": the first change is one of A's."""
    endpoints_are_followed(run, run.others)
    certificates_are_renewed(run, run.others)
    configuration_is_applied(run, *(set(run.others) & set(run.tables["control_planes"]["control_plane"])))
    for cluster in run.others:
        assert run.answered(cluster, FAILS, END) > 0.999, cluster


# --- one of n replicas ---------------------------------------------------------------------------------------------


@cell("one-replica-down", MODELS, "T")
def one_replica_down_traffic(run: Run) -> None:
    """§5.5 "no T impact"."""
    traffic_goes_on(run, EVERY, END, 1.0)


@cell("one-replica-down", MODELS, "E")
def one_replica_down_proxies_reconnect(run: Run) -> None:
    """§5.5 "its proxies reconnect (rate limit)": within the minute, to the replica that is left."""
    assert run.istiod("ready_seconds", run.plane, FAILS, BACK) == pytest.approx(60 * (BACK - FAILS))
    before, since = (run.istiod("connections", run.plane, at, at + 1) for at in (FAILS - 1, FAILS))
    assert since > before
    for cluster in EVERY:
        assert run.level("disconnected", cluster, FAILS + 1.5) < 0.1, cluster
    endpoints_are_followed(run, EVERY)


@cell("one-replica-down", MODELS, "P, R, C")
def one_replica_down_control_plane_works(run: Run) -> None:
    """§5.5: the other replica admits pods, signs certificates and validates configuration."""
    pods_start(run, EVERY)
    certificates_are_renewed(run, EVERY)
    configuration_is_applied(run, run.plane)
    configuration_arrives(run, EVERY)


# --- certificate authority -----------------------------------------------------------------------------------------


@cell("ca-down", MODELS, "T")
def ca_down_traffic(run: Run) -> None:
    """§5.5 "T ok 12 h": until the first certificate runs out; handshakes fail from then on."""
    traffic_goes_on(run, EVERY, FIRST_EXPIRY)
    for cluster in run.served:
        assert run.handshakes(cluster, FAILS, FIRST_EXPIRY) == 1, cluster
        assert run.handshakes(cluster, LAST_EXPIRY + 0.5, BACK) < 0.02, cluster


@cell("ca-down", MODELS, "P")
def ca_down_pods(run: Run) -> None:
    """§5.5 "P not ready": admitted, configured, and without a certificate."""
    pods_wait(run, run.served)
    pods_start(run, run.others)


@cell("ca-down", MODELS, "R")
def ca_down_certificates(run: Run) -> None:
    """§5.5 "R stalls"."""
    certificates_run_out(run, run.served)
    certificates_are_renewed(run, run.others)
    assert run.istiod("certificates", run.plane, FAILS, BACK) == 0
    assert run.istiod("refused_certificates", run.plane, FAILS, END) > 100


@cell("ca-down", MP, "E: its price")
def ca_down_new_pods_elsewhere_cannot_be_called(run: Run) -> None:
    """§5.2 "only new handshakes fail": those with the catalog's new pods in the other clusters are new."""
    called = run.calls(LAST_EXPIRY + 0.5, BACK, source_cluster="eu-1", destination="catalog")
    assert 0.8 < share(called) < 0.99
    assert set(called.loc[called["code"] != 200, "response_flag"]) == {"UC"}


@cell("ca-down", MODELS, "E, C")
def ca_down_istiod_works(run: Run) -> None:
    """§5.5 "CA outage only": discovery and configuration work."""
    endpoints_are_followed(run, EVERY)
    configuration_is_applied(run, run.plane)
    configuration_arrives(run, EVERY)


# --- istiod rolling upgrade ----------------------------------------------------------------------------------------

#: Connections that an istiod with two cores accepts in a second: 15 + 5 · 2.
RATE = 25


def upgraded(run: Run) -> float:
    """Return when the old istiod has gone, minutes."""
    (done,) = run.tables["events"].query("kind == 'rollout done'")["time"]
    return float(done) / 60


def wave(run: Run) -> pd.DataFrame:
    """Return the seconds of the reconnect wave until only the last few are missing."""
    rows = run.rows("control_planes", upgraded(run) - 1 / 60, 2, control_plane=run.plane)
    return rows[rows["connections"] >= RATE // 2]


@cell("istiod-rolling-upgrade", MODELS, "T")
def rolling_upgrade_traffic(run: Run) -> None:
    """§5.5 "T ok"."""
    assert all(run.answered(cluster, 1 / 3, 7 / 3) == 1 for cluster in EVERY)


@cell("istiod-rolling-upgrade", MODELS, "xDS")
def rolling_upgrade_reconnect_wave(run: Run) -> None:
    """§5.5 "reconnect wave N/(min(15+5P,100)·replicas) s": 25 a second, the rest is refused and comes again."""
    lasts = sum(run.rows("config", 0, 1 / 60, cluster=cluster)["proxies"].iloc[0] for cluster in run.served) / RATE
    rows = wave(run)
    assert rows["connections"].max() <= RATE + 3  # some come a little later than they were let in
    assert lasts - 1.5 <= len(rows) <= lasts + 2
    assert rows["refused_connections"].sum() > 0
    for cluster in EVERY:  # pauses between tries are 30 s at most
        assert run.level("disconnected", cluster, upgraded(run) + 0.75) < 1, cluster


@cell("istiod-rolling-upgrade", MP, "xDS: one cluster")
def rolling_upgrade_cluster_by_cluster(run: Run) -> None:
    """§5.5 MP "canary by revision per cluster": only eu-1's proxies notice."""
    for cluster in EVERY:
        rows = run.rows("config", upgraded(run) - 1 / 60, upgraded(run) + 4 / 60, cluster=cluster)
        most = (rows["disconnected_seconds"] / (rows["end"] - rows["start"]) / rows["proxies"]).max()
        assert most > 0.5 if cluster == "eu-1" else most < 0.02, cluster


@cell("istiod-rolling-upgrade", (PR, EX), "xDS: WAN")
def rolling_upgrade_wave_over_the_ocean(run: Run) -> None:
    """§5.5 PR "wave over WAN via EWGW", EX "idem": remote proxies are in the same queue, and lie in it longer."""
    out = {cluster: run.rows("config", 1, 2, cluster=cluster)["disconnected_seconds"].sum() for cluster in EVERY}
    assert all(seconds > 60 for seconds in out.values())
    assert out["us-1"] > out["eu-1"]
    assert len(wave(run)) > 2 * len(wave(ran("istiod-rolling-upgrade", MP)))


# --- bad configuration ---------------------------------------------------------------------------------------------


def fails_in(run: Run, since: float, until: float) -> set[str]:
    """Return the clusters whose frontends' calls to the catalog all fail for want of the route's subset."""
    failing = set()
    for cluster in EVERY:
        calls = run.calls(since, until, source_cluster=cluster, destination="catalog")
        if set(calls["response_flag"]) == {"NC"}:
            failing.add(cluster)
        else:
            assert share(calls) > 0.99, cluster
    return failing


@cell("bad-config", MP, "T, C")
def bad_config_one_primary_at_a_time(run: Run) -> None:
    """§5.5 MP "blast radius = one primary's clusters; must be applied N times (can be staged)"."""
    assert [run.happened("configuration applied", plane) for plane in EVERY] == [1, 1, 1]
    stages = [fails_in(run, minute + 0.5, minute + 2.5) for minute in (2, 5, 8, 11, 17, 20, 22.5)]
    assert stages == [set(), {"eu-1"}, {"eu-1", "eu-2"}, set(EVERY), {"eu-2", "us-1"}, {"us-1"}, set()]


@cell("bad-config", (PR, EX), "T, C")
def bad_config_everywhere_at_once(run: Run) -> None:
    """§5.5 PR "all clusters at once", EX "all at once"; §5.1: within seconds."""
    assert run.happened("configuration applied", run.plane) == 1
    stages = [fails_in(run, minute + 0.5, minute + 2.5) for minute in (2, 5, 8, 11, 17)]
    assert stages == [set(), set(EVERY), set(EVERY), set(EVERY), set()]


@cell("bad-config-rejected", MODELS, "T")
def rejected_config_harms_nobody_who_runs(run: Run) -> None:
    """§5.1 "Envoy NACKs a rejected resource and keeps the previous"."""
    for cluster in EVERY:
        assert run.answered(cluster, FAILS, 25) == 1, cluster
    assert run.istiod("rejected_configurations", run.plane, FAILS, 17) >= 8
    assert run.istiod("rejected_configurations", run.plane, 17.5, 25) == 0


@cell("bad-config-rejected", MODELS, "P")
def rejected_config_keeps_new_pods_from_being_ready(run: Run) -> None:
    """§5.3 "Sidecar readiness needs first CDS+LDS": a new proxy has no previous configuration."""
    for cluster in EVERY:
        waits = cluster in run.served
        assert run.pods("started", cluster, 6, 17) == (0 if waits else 1), cluster
        assert run.pods("started", cluster, 17, 25) == (1 if waits else 0), cluster
        assert run.pods("rejected", cluster, 6, 25) == 0, cluster


# --- remote secret -------------------------------------------------------------------------------------------------


def calls_to_us(run: Run, since: float, until: float) -> int:
    calls = run.calls(since, until, destination_cluster="us-1")
    return int(calls.loc[calls["source_cluster"] != "us-1", "count"].sum())


@cell("remote-secret-expired", MODELS, "E")
def secret_expired_endpoints(run: Run) -> None:
    """§5.5 "that cluster's endpoints: stale until istiod restart, then gone"; §4.2: 30 s after the restart."""
    for cluster in ("eu-1", "eu-2"):
        assert run.level("stale", cluster, 11.5) == 0, cluster
        assert run.level("stale", cluster, 16.5) > 0, cluster  # a pod of us-1 went at 12 min
        assert run.level("stale", cluster, END - 0.5) == 0, cluster
    assert calls_to_us(run, FAILS, POD_GOES) > 1000
    assert calls_to_us(run, POD_GOES + 2, BACK) == 0
    assert calls_to_us(run, BACK + 1, END) > 100
    assert run.happened("rollout done", run.plane, POD_GOES + 0.5, POD_GOES + 1.5) == 1


@cell("remote-secret-expired", MODELS, "T")
def secret_expired_traffic(run: Run) -> None:
    """§5.5: what is gone from the lists is not called, and the rest answers."""
    traffic_goes_on(run, EVERY, FIRST_EXPIRY)
    for cluster in ("eu-1", "eu-2"):
        assert run.answered(cluster, FAILS, END) > 0.999, cluster


@cell("remote-secret-expired", MP, "P, R, C")
def secret_expired_own_control_plane(run: Run) -> None:
    """§5.5 MP: us-1's own istiod needs no secret for it."""
    pods_start(run, EVERY)
    certificates_are_renewed(run, EVERY)
    configuration_is_applied(run, *EVERY)
    for cluster in EVERY:
        assert run.level("disconnected", cluster, BACK - 1) < 0.1, cluster


@cell("remote-secret-expired", (PR, EX), "xDS, P, R, C")
def secret_expired_proxies_are_rejected(run: Run) -> None:
    """§5.5 PR "+ its proxies rejected on reconnect", EX "idem": istiod cannot have their tokens reviewed (§5.4)."""
    assert run.level("disconnected", "us-1", FAILS + 0.5) < 4
    assert run.level("disconnected", "us-1", STREAMS_OVER + 0.5) > 6
    assert run.level("disconnected", "us-1", END - 0.5) == 0
    assert run.istiod("refused_connections", run.plane, FAILS, BACK) > 100
    pods_wait(run, ["us-1"])
    certificates_run_out(run, ["us-1"])
    configuration_is_applied(run, run.plane)
    configuration_is_late(run, ["us-1"])
    pods_start(run, ("eu-1", "eu-2"))
    certificates_are_renewed(run, ("eu-1", "eu-2"))
    configuration_arrives(run, ("eu-1", "eu-2"))
