"""The access log: a line for each call of a sampled request, none by default, and nothing else changes."""

from __future__ import annotations

from collections import Counter

import pytest

from meshsim.results.tables import TABLES

RETRIED = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "app", "namespace": "default"},
    "spec": {
        "hosts": ["app"],
        "http": [{"route": [{"destination": {"host": "app"}}], "retries": {"attempts": 2, "retryOn": "5xx"}}],
    },
}


def lines(tables) -> list[dict]:
    """Return the access log, a dictionary for each line."""
    columns = tables["access_log"]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def rest(tables) -> dict:
    """Return every other table, as plain lists; that of spans is made of the same trace."""
    return {
        name: {column: [str(value) for value in values] for column, values in columns.items()}
        for name, columns in tables.items() if name not in ("access_log", "spans")
    }  # fmt: skip


def test_a_line_says_who_called_whom_and_how_it_ended(run):
    tables = run(access_log=1.0, duration="20s").run()
    logged = lines(tables)
    assert set(logged[0]) == {column.name for column in TABLES["access_log"]}
    assert Counter(line["source"] for line in logged).keys() == {"ingress", "web"}
    for line in logged:
        assert (line["code"], line["response_flag"], line["attempts"]) == (200, "", 1)
        assert line["route_name"] == "Istio default"
        assert line["operation"] == "GET"
        assert line["destination"] == {"ingress": "web", "web": "app"}[line["source"]]
        assert line["upstream_cluster"] == f"outbound|80||{line['destination']}.default.svc.cluster.local"
        assert line["upstream_host"].startswith(f"{line['upstream_cluster_name']}/{line['destination']}-")
    first = min(logged, key=lambda line: line["time"])
    assert (first["source_pod"], first["source"]) in {("c1/ingress-0", "ingress"), ("c2/ingress-0", "ingress")}


def test_the_calls_of_a_request_have_its_number_and_lie_within_it(run):
    by_request: dict[str, list[dict]] = {}
    for line in lines(run(access_log=1.0, duration="20s").run()):
        by_request.setdefault(line["request_id"], []).append(line)
    whole = [sorted(group, key=lambda line: line["time"]) for group in by_request.values() if len(group) == 2]
    assert len(whole) > 100
    for request, call in whole:
        assert (request["source"], call["source"]) == ("ingress", "web")
        assert request["upstream_host"] == call["source_pod"]
        assert request["time"] < call["time"]
        assert call["time"] + call["duration"] < request["time"] + request["duration"]


def test_the_log_of_everything_adds_up_to_the_table_of_calls(run, event):
    failing = event("service_failing", "2s", "10s", target={"service": "app"}, fraction=0.5)
    tables = run(access_log=1.0, timeline=[failing], istio=[RETRIED], duration="20s").run()
    logged, calls = lines(tables), tables["calls"]
    assert len(logged) == sum(calls["count"])
    assert sum(line["attempts"] for line in logged) == sum(calls["attempts"])
    assert sum(line["duration"] for line in logged) == pytest.approx(sum(calls["latency_sum"]), rel=1e-12)
    counted: Counter[tuple] = Counter()
    for source, code, flag, count in zip(
        calls["source"], calls["code"], calls["response_flag"], calls["count"], strict=True
    ):
        counted[source, int(code), flag] += int(count)
    assert Counter((line["source"], line["code"], line["response_flag"]) for line in logged) == counted
    assert ("web", 503, "URX") in counted
    assert {line["route_name"] for line in logged if line["source"] == "web"} != {"Istio default"}


def test_calls_of_one_request_in_so_many_are_logged(run):
    tables = run(access_log=0.25, load={"web": {"rate": "100/s"}}, duration="20s").run()
    logged = lines(tables)
    totals = dict(zip(tables["totals"]["quantity"], tables["totals"]["value"], strict=True))
    entered = sum(line["source"] == "ingress" for line in logged)
    assert entered == pytest.approx(totals["requests ended"] / 4, abs=3)
    assert len(logged) == pytest.approx(2 * entered, abs=3)  # all calls of a request, or none


def test_there_is_no_log_by_default_and_it_changes_nothing(run, event):
    failing = event("service_failing", "2s", "10s", target={"service": "app"}, fraction=0.5)
    without, with_log = (run(timeline=[failing], duration="20s", access_log=part) for part in (0.0, 1.0))
    tables, logged = without.run(), with_log.run()
    assert lines(tables) == []
    assert len(lines(logged)) > 0
    assert rest(tables) == rest(logged)
