"""Rows of the failure table about places and the ways between them: clusters, API servers, gateways, regions."""

from __future__ import annotations

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

# --- primary cluster A, everything in it -----------------------------------------------------------------------------


@cell("primary-cluster-down", (*MODELS, HY), "T")
def primary_cluster_down_stale_endpoints_cost_time(run: Run) -> None:
    """§5.5 "A's capacity lost; B keeps stale A endpoints … black hole: +10 s per first try"; retries answer late."""
    assert run.answered("eu-1", FAILS, BACK) < 0.001  # what was under way
    assert share(run.calls(FAILS, FIRST_EXPIRY, destination="orders")) < 0.001  # runs nowhere else
    for cluster in ("eu-2", "us-1"):
        assert run.answered(cluster, FAILS, FIRST_EXPIRY) > 0.99, cluster
        assert run.waited(cluster, FAILS + 1, FIRST_EXPIRY) > 20 * run.waited(cluster, 1, FAILS), cluster
        assert run.attempts(FAILS + 1, FIRST_EXPIRY, source_cluster=cluster, destination="catalog") > 1.1, cluster
        hung = run.waited(cluster, FAILS + 15, FAILS + 16)  # TCP gives kept connections up after 924 s
        assert hung > 5 * run.waited(cluster, FAILS + 10, FAILS + 12), cluster


@cell("primary-cluster-down-refused", MODELS, "T")
def primary_cluster_down_retries_mask_refusals(run: Run) -> None:
    """§5.5 "RST: retry masks": the default retries find the pods that are left, at once."""
    for cluster in ("eu-2", "us-1"):
        assert run.answered(cluster, FAILS, 12) > 0.999, cluster
        assert run.waited(cluster, FAILS, 10) < 0.5, cluster
        assert run.attempts(FAILS, 10, source_cluster=cluster, destination="catalog") > 1.3, cluster
        assert run.attempts(11, 12, source_cluster=cluster, destination="catalog") == 1, cluster


@cell("primary-cluster-down", (MP, HY), "E")
def primary_cluster_down_heals_with_a_restart(run: Run) -> None:
    """§5.5 "self-heals only if B's istiod restarts (30 s)": us-1's is at 25 min, and forgets eu-1's endpoints."""
    (restarted,) = run.tables["events"].query("kind == 'rollout done' and subject == 'us-1'")["time"]
    assert restarted - 60 * 25 > 30
    for cluster, healed in (("us-1", True), ("eu-2", False)):
        tries = run.attempts(26.5, BACK, source_cluster=cluster, destination="catalog")
        assert tries == pytest.approx(1) if healed else tries > 1.1
    assert "UH" in set(run.calls(26.5, BACK, source_cluster="us-1", destination="orders")["response_flag"])
    assert run.waited("us-1", 27, BACK) < run.waited("us-1", 22, 25) / 2


@cell("primary-cluster-down", (MP, EX), "P, E, R")
def primary_cluster_down_others_have_a_control_plane(run: Run) -> None:
    """§5.5 EX "only that cluster's pods"; in MP the other clusters have their own istiod anyway."""
    others = ("eu-2", "us-1")
    pods_start(run, others)
    certificates_are_renewed(run, others)
    for cluster in others:  # the restart at 25 min makes us-1's proxies forget what is gone, but not deleted
        assert run.level("stale", cluster, FRONTEND_GOES - 0.5) == 0, cluster
        assert run.level("stale", cluster, SCALED - 0.5) == 0, cluster


@cell("primary-cluster-down", PR, "P, E, R")
def primary_cluster_down_remotes_are_on_their_own(run: Run) -> None:
    """§5.5 PR "remotes: T on stale config incl. A's endpoints, no P, no E, R stops"."""
    remotes = ("eu-2", "us-1")
    pods_are_rejected(run, remotes)
    endpoints_are_frozen(run, remotes)
    certificates_run_out(run, remotes)


@cell("primary-cluster-down", PR, "R: new handshakes")
def primary_cluster_down_new_handshakes_fail(run: Run) -> None:
    """§5.5 PR "from 12 h new handshakes fail, all by 24 h": here 10 and 20 min; those to A fail anyway."""
    for cluster in ("eu-2", "us-1"):
        assert run.handshakes(cluster, FAILS, FIRST_EXPIRY) > 0.4, cluster
        assert run.handshakes(cluster, LAST_EXPIRY + 0.5, BACK) == 0, cluster


@cell("primary-cluster-down", PR, "C")
@cell("primary-cluster-down", EX, "C")
def primary_cluster_down_no_configuration(run: Run) -> None:
    """§5.5 PR "C none"; EX: A is the config cluster, whose API server keeps the configuration (§4.1)."""
    configuration_is_refused(run, run.plane)
    configuration_is_late(run, ("eu-2", "us-1"))


@cell("primary-cluster-down", MP, "C")
def primary_cluster_down_others_take_configuration(run: Run) -> None:
    """§5.5 MP: A's control plane takes none, the others do."""
    configuration_is_refused(run, "eu-1")
    configuration_is_applied(run, "eu-2", "us-1")
    configuration_arrives(run, ("eu-2", "us-1"))


# --- API server ----------------------------------------------------------------------------------------------------


@cell("api-server-down-remote", MODELS, "T")
def api_server_down_traffic(run: Run) -> None:
    """§5.5 "data plane fine"."""
    traffic_goes_on(run, EVERY, FIRST_EXPIRY)


@cell("api-server-down-remote", MODELS, "xDS")
def api_server_down_proxies_lose_their_streams(run: Run) -> None:
    """§5.5 "A's proxies lose xDS as streams age out (≤~33 min)": no one reviews their tokens (§5.4, istio#53695)."""
    assert run.level("disconnected", "us-1", FAILS + 0.5) < 4
    assert run.level("disconnected", "us-1", STREAMS_OVER + 0.5) == run.tables["config"]["proxies"].iloc[2]
    plane = "us-1" if run.model == MP else run.plane
    assert run.istiod("refused_connections", plane, FAILS, BACK) > 100
    for cluster in ("eu-1", "eu-2"):
        assert run.level("disconnected", cluster, BACK - 0.5) < 0.1, cluster


@cell("api-server-down-remote", MODELS, "E")
def api_server_down_endpoints(run: Run) -> None:
    """§5.5 "E frozen for A": after the streams are over; both changes are elsewhere."""
    endpoints_are_frozen(run, ["us-1"])
    endpoints_are_followed(run, ("eu-1", "eu-2"))


@cell("api-server-down-remote", MODELS, "E: stale endpoints of A")
def api_server_down_all_keep_stale_endpoints(run: Run) -> None:
    """§5.5 "all istiods hold stale A endpoints": half of us-1 is lost at 10 min and is called until it is back."""
    for span in ((11, 12), (15, 16)):  # with an API server its pods would be unready after 40 s
        assert run.attempts(*span, source_cluster="us-1", destination="audit") > 1.1
        assert run.attempts(*span, source_cluster="eu-1", destination="audit") > 1.02
    assert run.attempts(FAILS, 10, destination="audit") == 1


@cell("api-server-down-remote", MODELS, "P")
def api_server_down_pods(run: Run) -> None:
    """§5.5 "P impossible anyway": nobody is there to create them, let alone to reject them."""
    pods_wait(run, ["us-1"])
    pods_start(run, ("eu-1", "eu-2"))


@cell("api-server-down-remote", MODELS, "R")
def api_server_down_certificates(run: Run) -> None:
    """§5.5 "R fails": a CSR needs a TokenReview of the own API server (§5.4)."""
    certificates_run_out(run, ["us-1"])
    certificates_are_renewed(run, ("eu-1", "eu-2"))
    only_new_handshakes_fail(run, ["us-1"])


@cell("api-server-down-remote", MODELS, "C")
def api_server_down_configuration(run: Run) -> None:
    """§5.4: configuration is in the primary's, or the config cluster's, API server; us-1's proxies hear nothing."""
    if run.model == MP:
        configuration_is_refused(run, "us-1")
        configuration_is_applied(run, "eu-1", "eu-2")
    else:
        configuration_is_applied(run, run.plane)
    configuration_arrives(run, ("eu-1", "eu-2"))
    configuration_is_late(run, ["us-1"])


@cell("api-server-down-primary", (MP, PR, EX), "C")
def api_server_down_primary_configuration(run: Run) -> None:
    """§5.5 PR "A primary: C impossible"; EX "config cluster: no C"."""
    configuration_is_refused(run, run.plane)
    configuration_is_late(run, run.served)


@cell("api-server-down-primary", (PR, EX), "xDS, E")
def api_server_down_primary_remotes_go_on(run: Run) -> None:
    """§5.5 "remote proxies authenticate at their own API server → xDS ok"."""
    remotes = ("eu-2", "us-1")
    endpoints_are_followed(run, remotes)
    for cluster in remotes:
        assert run.level("disconnected", cluster, BACK - 0.5) < 0.1, cluster


@cell("api-server-down-primary", (PR, EX), "P, R")
def api_server_down_primary_remotes_have_istiod(run: Run) -> None:
    """§5.4: istiod itself runs, so remotes get their pods admitted and certificates signed; A gets neither."""
    pods_start(run, ("eu-2", "us-1"))
    certificates_are_renewed(run, ("eu-2", "us-1"))
    pods_wait(run, ["eu-1"])
    certificates_run_out(run, ["eu-1"])


@cell("api-server-down-primary", (MP, PR, EX), "T")
def api_server_down_primary_as_a_remote_for_its_own_proxies(run: Run) -> None:
    """§5.5 EX "others as A remote": for A's own proxies it is the same in any model."""
    traffic_goes_on(run, EVERY, FIRST_EXPIRY)
    endpoints_are_frozen(run, ["eu-1"])
    assert run.level("disconnected", "eu-1", STREAMS_OVER + 0.5) == run.tables["config"]["proxies"].iloc[0]


# --- east-west gateway ---------------------------------------------------------------------------------------------


@cell("east-west-gateway-down", MODELS, "T")
def gateway_down_traffic_into_the_cluster_fails(run: Run) -> None:
    """§5.5 "cross-network T into A fails (UF; retry/OD failover); A outbound ok; intra-cluster ok"."""
    into = run.calls(FAILS + 1, FIRST_EXPIRY, source_cluster="us-1", destination="orders")
    assert set(into["response_flag"]) == {"URX,UF"}
    everywhere = run.calls(FAILS + 1, FIRST_EXPIRY, source_cluster="us-1", destination="catalog")
    assert share(everywhere) > 0.999  # retries find other clusters
    assert everywhere["attempts"].sum() > 1.3 * everywhere["count"].sum()
    for cluster in ("eu-1", "eu-2"):
        out = run.calls(FAILS + 1, FIRST_EXPIRY, source_cluster=cluster, destination="catalog")
        assert set(out["destination_cluster"]) == set(EVERY), cluster
        assert out["attempts"].sum() == out["count"].sum(), cluster
    within = run.calls(FAILS + 1, FIRST_EXPIRY, source_cluster="eu-1", destination="orders")
    assert share(within) == 1


@cell("east-west-gateway-down", MP, "P, E, R, C")
def gateway_down_is_no_matter_of_the_control_plane(run: Run) -> None:
    """§5.5 MP: every cluster has its own istiod; only the lost gateway hears nothing."""
    pods_start(run, EVERY)
    endpoints_are_followed(run, EVERY, besides=1)
    certificates_are_renewed(run, EVERY, until=BACK)
    configuration_is_applied(run, *EVERY)
    configuration_arrives(run, EVERY, besides=1)


@cell("east-west-gateway-down", PR, "P, E, R, C")
def gateway_down_cuts_remotes_off(run: Run) -> None:
    """§5.5 PR "+ all remotes lose xDS/CA/injection (15012/15017) → as istiod down for remotes"; A does not."""
    remotes = ("eu-2", "us-1")
    pods_are_rejected(run, remotes)
    endpoints_are_frozen(run, remotes)
    certificates_run_out(run, remotes)
    configuration_is_applied(run, "eu-1")
    configuration_is_late(run, remotes)
    pods_start(run, ["eu-1"])
    endpoints_are_followed(run, ["eu-1"], besides=1)
    certificates_are_renewed(run, ["eu-1"], until=BACK)
    configuration_arrives(run, ["eu-1"], besides=1)


@cell("east-west-gateway-down", EX, "P, E, R, C")
def gateway_of_the_control_plane_cuts_all_off(run: Run) -> None:
    """§5.5 EX "ingress GW of CP = same role": without it all clusters are as with istiod down."""
    pods_are_rejected(run, EVERY)
    endpoints_are_frozen(run, EVERY)
    certificates_run_out(run, EVERY)
    configuration_is_refused(run, EX)


# --- partition -----------------------------------------------------------------------------------------------------


def black_holes(run: Run) -> float:
    """Return how many tries of us-1's proxies went nowhere in the first ten minutes of the partition."""
    calls = run.calls(FAILS, FIRST_EXPIRY, source_cluster="us-1")
    calls = calls[calls["destination"].isin(["frontend", "catalog"])]
    return float((calls["attempts"] - calls["count"]).sum())


@cell("partition", MODELS, "T")
def partition_traffic_stays_where_it_is(run: Run) -> None:
    """§5.5 "both sides as other cluster down": outlier detection leaves what is near; EX "T local ok"."""
    for cluster in EVERY:
        assert run.answered(cluster, FAILS + 1, FIRST_EXPIRY) > 0.995, cluster
        reached = run.calls(FAILS + 1, FIRST_EXPIRY, source_cluster=cluster, destination="catalog", code=200)
        near = {"us-1"} if cluster == "us-1" else {"eu-1", "eu-2"}
        assert set(reached["destination_cluster"]) == near, cluster
        assert run.waited(cluster, FAILS, FIRST_EXPIRY) > 3 * run.waited(cluster, 1, FAILS), cluster


@cell("partition-one-network", MP, "T")
def partition_of_one_network_has_a_black_hole_for_each_pod(run: Run) -> None:
    """§5.5 "same-network: every remote pod is a separate black hole …, multi-network: 1 host per gateway"."""
    assert run.answered("us-1", FAILS + 1, FIRST_EXPIRY) > 0.98
    assert black_holes(run) > 1.3 * black_holes(ran("partition", MP))
    assert run.waited("us-1", FAILS, FIRST_EXPIRY) > 1.2 * ran("partition", MP).waited("us-1", FAILS, FIRST_EXPIRY)


@cell("partition", MP, "E")
def partition_leaves_both_sides_with_stale_endpoints(run: Run) -> None:
    """§5.5 "with stale endpoints": us-1 misses Europe's change, and Europe that of us-1, not their own."""
    for cluster, misses in (("us-1", FRONTEND_GOES), ("eu-1", SCALED), ("eu-2", SCALED)):
        assert run.level("stale", cluster, misses - 0.5) > 0, cluster
        assert run.level("stale", cluster, BACK - 0.5) > 0, cluster
        assert run.level("stale", cluster, END - 0.5) == 0, cluster
    for cluster in ("eu-1", "eu-2"):
        assert run.level("stale", cluster, FRONTEND_GOES - 0.5) == 0, cluster


@cell("partition", MP, "P, R, C")
def partition_leaves_each_side_its_control_plane(run: Run) -> None:
    """§5.5 MP: each side has an istiod and an API server of its own."""
    pods_start(run, EVERY)
    certificates_are_renewed(run, EVERY)
    configuration_is_applied(run, *EVERY)
    configuration_arrives(run, EVERY)


@cell("partition", (PR, EX), "P, E, R, C")
def partition_takes_the_remote_side_its_control_plane(run: Run) -> None:
    """§5.5 PR "remote side also loses control plane"; EX "remote loses control plane"."""
    pods_are_rejected(run, ["us-1"])
    endpoints_are_frozen(run, ["us-1"])
    certificates_run_out(run, ["us-1"])
    configuration_is_applied(run, run.plane)
    configuration_is_late(run, ["us-1"])
    pods_start(run, ("eu-1", "eu-2"))
    certificates_are_renewed(run, ("eu-1", "eu-2"))
    configuration_arrives(run, ("eu-1", "eu-2"))


# --- region --------------------------------------------------------------------------------------------------------


@cell("region-outage", (MP, PR, HY), "T")
def region_outage_traffic(run: Run) -> None:
    """§5.5 "lose cluster(s) in region; others as cluster down": outlier detection leaves us-1 what it has."""
    for cluster in ("eu-1", "eu-2"):
        assert run.answered(cluster, FAILS, BACK) < 0.001, cluster
    assert run.answered("us-1", FAILS, FIRST_EXPIRY) > 0.99
    reached = run.calls(FAILS + 1, FIRST_EXPIRY, source_cluster="us-1", destination="catalog", code=200)
    assert set(reached["destination_cluster"]) == {"us-1"}


@cell("region-outage", (MP, HY), "P, E, R, C")
def region_outage_the_rest_has_a_control_plane(run: Run) -> None:
    """§5.5 MP: the other region's control plane works."""
    pods_start(run, ["us-1"])
    endpoints_are_followed(run, ["us-1"])
    certificates_are_renewed(run, ["us-1"])
    configuration_is_refused(run, "eu-1")
    configuration_is_applied(run, "us-1")
    configuration_arrives(run, ["us-1"])


@cell("region-outage", PR, "P, E, R, C")
def region_outage_freezes_remotes(run: Run) -> None:
    """§5.5 PR "if primary region: all remotes frozen"."""
    pods_are_rejected(run, ["us-1"])
    endpoints_are_frozen(run, ["us-1"])
    certificates_run_out(run, ["us-1"])
    configuration_is_refused(run, "eu-1")


@cell("region-outage-control-plane", EX, "T")
def region_outage_of_the_control_plane_traffic(run: Run) -> None:
    """§5.5 EX "if CP region: …, T ok"."""
    traffic_goes_on(run, EVERY, FIRST_EXPIRY)


@cell("region-outage-control-plane", EX, "P, E, R, C")
def region_outage_of_the_control_plane_freezes_all(run: Run) -> None:
    """§5.5 EX "if CP region: all frozen"."""
    pods_are_rejected(run, EVERY)
    endpoints_are_frozen(run, EVERY)
    certificates_run_out(run, EVERY)
    configuration_is_refused(run, EX)
