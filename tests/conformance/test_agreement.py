"""The rule of agreement: how much room a record leaves, and where ranges or distributions are compared instead."""

import json

import pytest

from tests.conformance.agreement import AGREES, DIFFERS, NOISE, SKIPPED, allowance, compare, overloaded, summarise
from tests.conformance.cases import SHARED, cases, point

ASKED = (
    "ok", "frac_flag", "lat_ms", "lat_err_ms", "lat_all_ms", "peak_inflight", "failover", "outlier", "accepted", "hash",
)  # fmt: skip


def a_point(load=None, policy=None, endpoints=None):
    spec = {"endpoints": endpoints or [{"service_ms": 100}], "load": load or {"arrivals": "open", "rate": 10, "n": 9}}
    return point("case", "point", spec | {"policy": policy or {}}, ASKED, 1)


def entry(mean, sd=0.0, **more):
    return {"mean": mean, "sd": sd, "min": mean - sd, "max": mean + sd, "k": 3} | more


def state(key, recorded, found, at=None):
    (verdict,) = compare(at or a_point(), {key: recorded}, {key: found})
    return verdict.state


@pytest.mark.parametrize(
    ("key", "recorded", "room"),
    [
        ("ok", entry(0.5, 0.02), 3 * 0.02 / 3**0.5),
        ("ok", entry(0.5, se_binom=0.03), 0.09),
        ("failover.errors", entry(100.0), 5.0),
        ("ok", entry(0.1), 0.01),
        ("lat_ms.p50", entry(30.0), 2.0),
        ("lat_ms.p50", entry(100.0), 5.0),
    ],
)
def test_room_is_the_largest_of_spread_binomial_error_five_percent_and_floor(key, recorded, room):
    assert allowance(key, recorded) == pytest.approx(room)


def test_difference_within_the_room_agrees_and_beyond_it_differs():
    assert state("outlier.n_eject", entry(4.0), entry(4.2)) == AGREES
    assert state("outlier.n_eject", entry(4.0), entry(4.3)) == DIFFERS


def test_difference_that_more_runs_explain_is_told_apart():
    lucky, wide = entry(4.0, 0.0), entry(4.4, 0.5) | {"k": 9}
    assert state("outlier.n_eject", lucky, wide) == NOISE
    assert state("outlier.n_eject", lucky, entry(6.0, 0.5) | {"k": 9}) == DIFFERS


def test_outcome_that_the_case_does_not_ask_for_is_left_out():
    assert not compare(a_point(), {"conns": entry(1.0)}, {})


def test_share_that_only_one_arm_saw_is_compared_with_zero():
    (verdict,) = compare(a_point(), {}, {"frac_flag.UF": entry(0.4)})
    assert verdict.state == DIFFERS
    (verdict,) = compare(a_point(), {"frac_flag.UF": entry(0.004)}, {})
    assert verdict.state == AGREES


def test_latency_of_the_machine_is_not_compared():
    assert state("lat_ms.p50", entry(1.2), entry(0.0)) == SKIPPED
    assert state("lat_ms.p50", entry(25.0), entry(40.0)) == DIFFERS


def test_missing_outcome_differs_unless_only_some_runs_had_it():
    assert compare(a_point(), {"peak_inflight": entry(4.0)}, {})[0].state == DIFFERS
    some = entry(4.0) | {"k": 1}
    assert compare(a_point(), {"outlier.dur_by_k.k6": some}, {})[0].state == SKIPPED


def test_outcome_that_nobody_had_agrees_with_its_absence():
    assert compare(a_point(), {"lat_ms.p50": {"values": [None, None, None]}}, {})[0].state == AGREES
    assert state("outlier.errs_to_first_eject", {"values": [None, None, None]}, entry(5.0)) == DIFFERS


def test_what_few_of_many_runs_saw_may_be_absent_from_three():
    assert state("lat_err_ms.p50", {"values": [None] * 3}, entry(210.0) | {"k": 2, "runs": 9}) == SKIPPED
    assert state("lat_err_ms.p50", {"values": [None] * 3}, entry(210.0) | {"k": 6, "runs": 9}) == DIFFERS


def test_largest_latency_is_the_machine_s():
    assert state("lat_all_ms.max", entry(200.0), entry(260.0)) == SKIPPED


def test_cold_bursts_compare_ranges():
    burst = a_point(load={"arrivals": "burst", "size": 20, "bursts": 2, "every_s": 1.0})
    wide = {"mean": 7.3, "sd": 11.0, "min": 1.0, "max": 20.0, "k": 3}
    assert state("accepted.cold", wide, entry(20.0), burst) == AGREES
    assert state("accepted.warm1", entry(8.0), entry(10.0), burst) == DIFFERS


def test_overload_with_random_work_compares_distributions():
    busy = {"cluster": {"circuit_breakers": {"thresholds": [{"max_connections": 1}]}}}
    load = {"arrivals": "open", "rate": 16, "n": 100, "work": "exp"}
    over = a_point(load, busy)
    assert overloaded(over)
    assert not overloaded(a_point(load | {"rate": 8}, busy))
    assert not overloaded(a_point(load | {"work": "const"}, busy))
    assert state("lat_ms.mean", entry(700.0, 100.0), entry(900.0, 100.0), over) == AGREES
    assert state("lat_ms.mean", entry(700.0, 10.0), entry(900.0, 10.0), over) == DIFFERS


def test_values_that_are_not_numbers_agree_when_some_run_ended_alike():
    assert state("hash.phase0.sticky", {"values": [True] * 3}, {"values": [True] * 3}) == AGREES
    assert state("outlier.ejected_eps", {"values": [["e0"]]}, {"values": [["e1"]]}) == DIFFERS


def test_binomial_error_of_a_certain_outcome_is_half_a_request():
    found = summarise([{"ok": 1.0, "n": 80}] * 3, ["ok"])
    assert found["ok"]["se_binom"] == pytest.approx(0.5 / 240, abs=1e-5)


def test_summaries_of_the_shared_runs_are_what_the_page_says():
    if not SHARED.exists():
        pytest.skip("the measurements beside the project are not here")
    from tests.conformance.metrics import flatten

    for case in cases(SHARED / "cases"):
        page = json.loads((SHARED / "results" / f"{case.name}.json").read_text())
        for at, told in zip(case.points, page["points"], strict=True):
            found = summarise([flatten(run) for run in told["runs"]], at.outcomes)
            for key in set(found) & set(told["summary"]):
                if "mean" in told["summary"][key]:
                    numbers = {name: value for name, value in found[key].items() if name != "runs"}
                    assert numbers == pytest.approx(told["summary"][key], abs=3e-5), f"{at.name}: {key}"
