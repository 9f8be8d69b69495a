from __future__ import annotations

import pytest

from meshsim.analysis.phases import FAULTS, phases
from meshsim.scenario.schema import Document

TINY = {
    "name": "x",
    "regions": {"eu": {}},
    "clusters": {"c": {"region": "eu"}},
    "services": {"web": {"endpoints": {"GET /": {}}}},
    "load": {"web": {"rate": "1/s"}},
    "duration": "300s",
    "warm_up": "30s",
}


def spans(*events: dict, **changes) -> list[tuple[str, float, float]]:
    found = phases(Document.model_validate({**TINY, "timeline": list(events), **changes}))
    return [(phase.name, phase.start, phase.end) for phase in found]


def event(kind: str, start: str, duration: str | None = None, **fields) -> dict:
    return {
        "event": kind,
        "start": start,
        "target": {"cluster": "c"},
        **({"duration": duration} if duration else {}),
        **fields,
    }


DOWN = event("control_plane_down", "100s", "60s")


def test_without_events_the_run_is_one_phase():
    assert spans() == [("all", 30.0, 300.0)]


def test_faults_decide_and_everyday_events_do_not():
    churn = event("pod_churn", "50s", "240s", rate="1/s")
    rollout = event("rollout", "120s")
    expected = [("before", 30.0, 100.0), ("during", 100.0, 160.0), ("after", 160.0, 300.0)]
    assert spans(churn, DOWN, rollout) == expected


def test_several_faults_make_one_phase_from_the_first_to_the_last():
    later = event("service_failing", "180s", "40s", fraction=0.5)
    assert spans(later, DOWN) == [("before", 30.0, 100.0), ("during", 100.0, 220.0), ("after", 220.0, 300.0)]


def test_without_faults_the_other_events_decide():
    churn = event("pod_churn", "50s", "100s", rate="1/s")
    assert spans(churn) == [("before", 30.0, 50.0), ("during", 50.0, 150.0), ("after", 150.0, 300.0)]


def test_a_change_without_an_end_lasts_to_the_end_of_the_run():
    assert spans(event("rollout", "120s")) == [("before", 30.0, 120.0), ("during", 120.0, 300.0)]
    assert spans(event("scale", "120s", replicas=5)) == [("before", 30.0, 120.0), ("during", 120.0, 300.0)]


def test_repetitions_count_from_the_first_to_the_last():
    flapping = event("gateway_down", "60s", "10s", repeat={"every": "40s", "times": 3})
    assert spans(flapping) == [("before", 30.0, 60.0), ("during", 60.0, 150.0), ("after", 150.0, 300.0)]
    for_ever = event("gateway_down", "60s", "10s", repeat={"every": "50s"})
    assert spans(for_ever) == [("before", 30.0, 60.0), ("during", 60.0, 270.0), ("after", 270.0, 300.0)]


def test_phases_stay_within_what_is_measured():
    early = event("cluster_down", "10s", "50s")
    late = event("cluster_down", "200s", "500s")
    assert spans(early) == [("during", 30.0, 60.0), ("after", 60.0, 300.0)]
    assert spans(late) == [("before", 30.0, 200.0), ("during", 200.0, 300.0)]
    assert spans(event("cluster_down", "5s", "10s")) == [("after", 30.0, 300.0)]


def test_every_kind_of_fault_is_a_kind_of_event():
    kinds = {branch.model_fields["event"].annotation.__args__[0] for branch in _event_classes()}
    assert set(FAULTS) <= kinds
    assert kinds - set(FAULTS) == {
        *("rollout", "pod_churn", "scale", "control_plane_rollout", "root_change", "config_change")
    }


def _event_classes():
    from typing import get_args

    from meshsim.scenario.schema import TimelineEvent

    return get_args(get_args(TimelineEvent)[0])


@pytest.mark.parametrize("form", ["document", "mapping"])
def test_a_resolved_scenario_of_a_manifest_will_do(form):
    document = Document.model_validate({**TINY, "timeline": [DOWN]})
    given = document if form == "document" else document.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert [phase.name for phase in phases(given)] == ["before", "during", "after"]
