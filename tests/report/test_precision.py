from __future__ import annotations

from meshsim.report.precision import NAMED, lines


def lack(phase: str, deployment: str = "hybrid", than: str = "", needed: int | None = 70) -> dict:
    return {
        "deployment": deployment, "than": than, "phase": phase, "metric": "success_rate", "half_width": 0.01,
        "wanted": 0.0005, "n": 8, "needed": needed,
    }  # fmt: skip


def report(**changes) -> dict:
    return {"relative": 0.05, "replications": 12, "stopped_by": "precision", "decisive": None, "missing": []} | changes


def test_what_decided_is_named():
    [line] = lines(report(decisive=lack("all", than="multi-primary")))
    assert line.endswith(
        "12 replications; the last to be known so well was hybrid less multi-primary, whole run: success rate"
    )


def test_each_metric_and_phase_is_named_once_for_whoever_lacks_most():
    found = lines(report(stopped_by="max_replications", missing=[lack("during"), lack("during", "x"), lack("after")]))
    assert len(found) == 3
    assert found[1] == (
        "  hybrid, during: success rate is known to ± 1 %, not ± 0.05 %; that takes about 70 replications"
    )


def test_an_absurd_number_of_replications_is_not_forecast():
    found = lines(report(stopped_by="budget", missing=[lack("during", needed=7_681), lack("after", needed=1)]))
    assert found[1].endswith("that takes more than 1,000 replications, which is not worth simulating")
    assert found[2].endswith("that takes about 1 replication")


def test_many_that_are_missing_are_counted():
    found = lines(report(stopped_by="budget", missing=[lack(str(n)) for n in range(NAMED + 2)]))
    assert found[-1].startswith("  and 2 more;")


def test_narrow_for_too_short_a_time_is_not_reached():
    [line] = lines(report(stopped_by="max_replications"))
    assert "not for long enough to be sure" in line
