"""The scenarios about control planes, certificates and rollouts give the answers that docs/questions.md tells."""

from __future__ import annotations

import pytest

from meshsim.results.histogram import edges
from tests.scenario_files.answers import between, errors, flagged, metric, proxies, ran, succeeds, value

pytestmark = pytest.mark.slow

MINUTE, HOUR = 60.0, 3600.0


def versions(name: str, since: float, until: float) -> dict[str, float]:
    """Return which part of the calls to the catalog each subset, or response flag, got between two seconds."""
    log = ran(name)[0].tables["access_log"]
    log = log[(log["destination"] == "catalog") & (log["time"] >= since) & (log["time"] < until)]
    got = log["upstream_cluster"].str.split("|").str[2].where(log["response_flag"] == "", log["response_flag"])
    return dict(got.value_counts(normalize=True))


def slow_requests(name: str, seconds: float) -> float:
    """Return how many user requests took longer, per replication."""
    table = ran(name)[0].tables["latency"]
    table = table[(table["kind"] == "request") & (edges(table["bin"]) > seconds)]
    return float(table["count"].sum() / ran(name)[0].tables["requests"]["replication"].nunique())


# --- question 11: a remote API server is dead when istiod starts ----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ready"), [("api-server-lost-short-wait", 47.0), ("api-server-lost-default-wait", 76.0)]
)
def test_an_istiod_that_starts_without_a_cluster_takes_its_endpoints_away(name, ready):
    assert between(0.99, value(name, succeeds, "run", since=15.0, until=ready - 6.0), 1.0)
    assert between(0.0, value(name, succeeds, "run", since=ready + 40.0, until=3.5 * MINUTE), 0.0)
    assert between(1.0, value(name, flagged("UH"), "run", since=ready + 40.0, until=3.5 * MINUTE), 1.0)
    assert between(1.0, value(name, succeeds, "after", since=65.0), 1.0)


def test_an_istiod_that_waits_for_a_cluster_keeps_endpoints_and_blocks_pods():
    name = "api-server-lost-long-wait"
    assert between(0.99, value(name, succeeds), 1.0)
    assert metric(name, "pods_started", "during") == 0
    assert metric(name, "pods_started", "after") == 8


def test_the_shorter_istiod_waits_the_sooner_pods_start():
    blocked = {
        wait: metric(f"api-server-lost-{wait}-wait", "blocked_pod_seconds") for wait in ("short", "default", "long")
    }
    assert blocked["short"] == 0
    assert 30 < blocked["default"] < 300
    assert blocked["long"] > 3 * blocked["default"]


# --- question 12: half an hour after an API server was away ---------------------------------------------------------


def test_ten_minutes_without_an_api_server_cut_a_third_off():
    name = "api-server-out-ten-minutes"
    assert 0.2 < proxies(name, "disconnected_seconds", "during", since=9 * MINUTE, cluster="eu-1") < 0.45
    assert proxies(name, "disconnected_seconds", "run", until=10 * MINUTE, cluster="eu-1") < 0.01
    assert 0.6 < value(name, succeeds, "during", since=7 * MINUTE).mean < 0.95
    assert between(1.0, value(name, succeeds, "after", since=65.0), 1.0)


def test_forty_minutes_without_an_api_server_cut_all_off():
    name = "api-server-out-forty-minutes"
    assert proxies(name, "disconnected_seconds", "during", since=33 * MINUTE, cluster="eu-1") > 0.97
    assert proxies(name, "disconnected_seconds", "during", cluster="us-1") < 0.01
    assert between(0.0, value(name, succeeds, "during", since=37 * MINUTE), 0.01)
    assert between(1.0, value(name, succeeds, "after", since=65.0), 1.0)


def test_short_streams_cut_all_off_sooner():
    name = "api-server-out-short-streams"
    assert proxies(name, "disconnected_seconds", "during", since=6 * MINUTE, cluster="eu-1") == pytest.approx(1.0)
    assert between(0.0, value(name, succeeds, "during", since=8 * MINUTE), 0.0)


# --- question 13: pods that are gone are called ---------------------------------------------------------------------


def failing(name: str) -> float:
    return 1.0 - value(name, succeeds, "during").mean


def test_failures_grow_with_the_delay_of_pushes_and_with_churn():
    assert 0.001 < failing("stale-endpoints-fast-push") < 0.01
    assert 10 < failing("stale-endpoints-slow-push") / failing("stale-endpoints-fast-push") < 40
    assert 2 < failing("stale-endpoints-slow-push") / failing("stale-endpoints-slow-push-less-churn") < 5


def test_retries_hide_endpoints_that_are_gone_and_draining_avoids_them():
    assert failing("stale-endpoints-retries") < failing("stale-endpoints-slow-push") / 20
    assert metric("stale-endpoints-drain", "errors") == 0


# --- question 14: no endpoints for a cluster ------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "hit"), [("multi-primary", 1), ("hybrid", 2), ("primary-remote", 3)])
def test_who_loses_a_cluster_is_who_the_control_plane_serves(model, hit):
    name = f"secret-removed-{model}"
    assert between(1.0 - hit / 3 - 0.04, value(name, succeeds, "during", since=5.0), 1.0 - hit / 3 + 0.04)
    assert between(1.0, value(name, succeeds, "after", since=5.0), 1.0)


# --- question 15: rotated secrets -----------------------------------------------------------------------------------


def test_without_the_new_secret_endpoints_grow_old_until_none_is_left():
    name = "secret-rotated-not-picked-up"
    assert value(name, succeeds, "run", since=1 * MINUTE, until=1.5 * MINUTE).mean > 0.9
    assert 0.25 < value(name, succeeds, "run", since=3 * MINUTE, until=5 * MINUTE).mean < 0.75
    assert value(name, succeeds, "run", since=6 * MINUTE, until=10 * MINUTE).mean < 0.1
    assert between(1.0, value(name, succeeds, "run", since=11 * MINUTE), 1.0)


def test_with_the_new_secret_nothing_is_noticed():
    assert between(1.0, value("secret-rotated-picked-up", succeeds), 1.0)


# --- question 16: the primary is down -------------------------------------------------------------------------------


def test_certificates_expire_between_twelve_and_twenty_four_hours():
    name = "primary-down-open-connections"
    for cluster in ("eu-1", "us-1"):
        assert proxies(name, "expired_seconds", "during", until=11.5 * HOUR, cluster=cluster) == 0
        assert 0.2 < proxies(name, "expired_seconds", "during", 16 * HOUR, 20 * HOUR, cluster=cluster) < 0.8
        assert proxies(name, "expired_seconds", "during", since=24.5 * HOUR, cluster=cluster) == pytest.approx(1.0)
        assert proxies(name, "expired_seconds", "after", since=1 * HOUR, cluster=cluster) == 0


def test_connections_that_are_open_outlive_certificates():
    assert value("primary-down-open-connections", succeeds, "during").mean > 0.999


def test_new_connections_fail_as_certificates_expire():
    name = "primary-down-new-connections"
    assert value(name, succeeds, "during", until=11.5 * HOUR).mean > 0.999
    assert 0.2 < value(name, succeeds, "during", since=15 * HOUR, until=20 * HOUR).mean < 0.8
    assert value(name, succeeds, "during", since=24.5 * HOUR).mean == 0
    assert value(name, succeeds, "after", since=1 * HOUR).mean > 0.999


def test_another_primary_goes_on_with_the_pods_of_its_own():
    name = "primary-down-multi-primary"
    assert value(name, succeeds, "during", since=24.5 * HOUR, source="eu-1").mean == 0
    assert 0.88 < value(name, succeeds, "during", since=24.5 * HOUR, source="us-1").mean < 0.97  # 13 of 14


def test_evicted_pods_are_neither_replaced_nor_forgotten():
    name = "primary-down-evictions"
    assert metric(name, "pods_started", "during") == 0
    assert value(name, succeeds, "during", until=1 * HOUR).mean > 0.95
    assert value(name, succeeds, "during", since=5 * HOUR).mean < 0.6
    assert value(name, succeeds, "after", since=0.5 * HOUR).mean > 0.999


# --- question 17: pushes at scale -----------------------------------------------------------------------------------


def test_two_thousand_proxies_wait_for_the_queue_unless_they_need_not_know():
    few = metric("push-at-scale-100-proxies", "convergence_p99")
    assert 0.12 < few < 0.3
    assert 0.6 < metric("push-at-scale-2000-proxies", "convergence_p99") < 1.2  # 2000 · 10 ms / 25
    assert metric("push-at-scale-sidecar-scope", "convergence_p99") == pytest.approx(few, rel=0.1)


def test_churn_makes_news_wait_and_merges_it():
    calm, busy = "push-at-scale-2000-proxies", "push-at-scale-churn"
    assert metric(busy, "convergence_p50") > 3 * metric("push-at-scale-100-proxies", "convergence_p50")
    started = metric(busy, "pods_started") / metric(calm, "pods_started")
    assert metric(busy, "pushes") / metric(calm, "pushes") < started / 2


# --- question 21: drift between primaries ---------------------------------------------------------------------------


def test_one_primary_has_one_configuration():
    assert versions("config-one-primary", 0.0, 60.0) == {"v1": 1.0}
    assert versions("config-one-primary", 62.0, 120.0) == {"v2": 1.0}


def test_until_all_primaries_are_changed_the_version_depends_on_the_cluster():
    assert 0.45 < versions("config-staggered", 62.0, 90.0)["v2"] < 0.55
    assert versions("config-staggered", 92.0, 120.0) == {"v2": 1.0}
    assert 0.45 < versions("config-forgotten", 62.0, 120.0)["v2"] < 0.55


def test_a_mistake_in_one_primary_hits_the_users_of_its_cluster():
    mix = versions("config-wrong-in-one", 62.0, 120.0)
    assert 0.45 < mix["v2"] < 0.55
    assert 0.45 < mix["NC"] < 0.55
    assert value("config-wrong-in-one", succeeds, "during", since=2.0, source="eu-1").mean == 1.0


# --- question 22: sameness ------------------------------------------------------------------------------------------


def test_services_of_one_name_are_one_service_unless_they_are_cluster_local():
    assert 0.3 < metric("sameness-merged", "call_share", flow="cross-region") < 0.5
    assert metric("sameness-merged", "success_rate") == 1.0
    assert metric("sameness-cluster-local", "call_share", flow="cross-region") == 0.0


# --- question 23: roots ---------------------------------------------------------------------------------------------


def test_a_root_that_has_expired_fails_handshakes_only():
    assert value("root-expired-open-connections", succeeds, "during").mean > 0.999
    name = "root-expired"
    assert 0.6 < value(name, succeeds, "during", until=20.0).mean < 1.0
    assert value(name, succeeds, "during", since=100.0).mean < 0.1
    assert between(0.99, value(name, succeeds, "after", since=5.0), 1.0)


def test_without_a_common_root_nothing_crosses():
    assert value("root-not-common", succeeds).mean == 0


def test_a_root_that_is_replaced_at_once_fails_up_to_half_of_the_calls():
    name = "root-change-at-once"
    assert 0.5 < value(name, succeeds, "during", since=1.5 * MINUTE, until=3 * MINUTE).mean < 0.8
    assert between(1.0, value(name, succeeds, "during", since=5.5 * MINUTE), 1.0)


def test_a_root_that_was_trusted_before_is_replaced_unnoticed():
    assert metric("root-change-with-overlap", "errors") == 0


# --- question 24: rollouts ------------------------------------------------------------------------------------------


def lost(name: str) -> float:
    return value(name, errors, "during").mean


def test_without_draining_a_rollout_costs_what_is_in_the_pods():
    assert 8 < lost("rollout-drain-none") < 40
    assert 0.8 < value("rollout-drain-none", flagged("UC")).mean / (1 - value("rollout-drain-none", succeeds).mean) <= 1
    assert lost("rollout-drain-one-second") == 0


def test_draining_has_to_last_as_long_as_requests_do():
    assert 4 < lost("rollout-drain-slow-requests") < 20  # 120 · exp(-5/2)


def test_pods_that_are_gone_and_silent_cost_ten_seconds():
    assert slow_requests("rollout-gone-pods-silent", 9.5) > 5
    assert slow_requests("rollout-drain-none", 9.5) == 0


def test_behind_a_gateway_draining_counts_for_more():
    assert 1.5 < lost("rollout-through-gateway-drain-none") / lost("rollout-drain-none") < 6
    assert lost("rollout-through-gateway-drain") == 0


# --- question 25: migrations ----------------------------------------------------------------------------------------


def test_an_upgrade_shows_what_default_retries_hid():
    assert between(0.997, value("upgrade-from-1.23", succeeds, "during"), 1.0)
    assert between(0.88, value("upgrade-to-1.24", succeeds, "during"), 0.92)


def test_a_remote_cannot_start_pods_without_its_primary():
    assert metric("migration-before", "pods_started", "during") == 8
    assert metric("migration-after", "pods_started", "during") == 0
    assert metric("migration-after", "pods_started", "after") == 8
    for name in ("migration-before", "migration-after"):
        assert value(name, succeeds, "during").mean > 0.999


def test_a_rollout_that_goes_on_before_all_proxies_are_back_costs_calls():
    assert value("migration-before", errors).mean == 0
    assert 5 < value("migration-after", errors, "after", until=35.0).mean < 300
    assert between(1.0, value("migration-after", succeeds, "after", since=35.0), 1.0)
