"""The second section: deployments by criteria with intervals, findings of security, and scores by weights."""

from __future__ import annotations

from meshsim.analysis.summary import WHOLE
from meshsim.report.cost_bars import PARTS
from meshsim.report.page import scores
from meshsim.report.page.findings import findings, tagged
from meshsim.report.page.marks import table
from meshsim.report.page.parts import NAME, Section, Table
from meshsim.report.page.study import Line, Study
from meshsim.report.shorten import short
from meshsim.results.tables import FLOWS

#: Metrics told of the whole run: a control plane that is down needs nothing, which is no merit.
_OF_THE_RUN = ("istiod_cpu", "istiod_memory", "istiod_connected")
#: Metrics told of the phase before anything goes wrong: nobody's month is all outage.
_COSTS = ("cost", *PARTS)
#: Criteria and their metrics; of what nothing was measured there is no row.
CRITERIA: dict[str, tuple[str, ...]] = {
    "availability": ("success_rate", "errors", "call_errors"),
    "latency": ("latency_p50", "latency_p99", "latency_p99.9"),
    "blast radius": ("blast_radius_clusters", "disconnected_share", "pods_blocked", "blocked_pod_seconds"),
    "staleness": ("stale_share", "stale_proxy_seconds", "config_drift_seconds", "expired_share"),
    "convergence": ("convergence_p50", "convergence_p99"),
    "recovery": ("time_to_recover", "config_recovery"),
    "control planes": (
        "control_planes", "control_plane_availability", "istiod_cpu", "istiod_memory", "istiod_connected",
    ),
    "operational complexity": (
        "istiod_replicas", "remote_secrets", "config_places", "config_objects", "config_copies", "roots",
        "exposed_gateways", "exposed_ports",
    ),
    "cost": _COSTS,
    "data residency": ("residency_calls", "residency_bytes"),
    "security isolation": ("shared_control_planes", "foreign_secrets"),
}  # fmt: skip
_BY_FLOW = ("latency_p99",)
#: What is told of each region where users enter.
_OF_USERS = ("success_rate", "latency_p50", "latency_p99", "latency_p99.9")


def trade_offs(study: Study) -> Section:
    """Return the section."""
    lead = [f"Values are those of {study.when}, unless a row says otherwise; what is counted once has no phase."]
    found, everything = findings(study)
    if found is None and tagged(study):
        lead.append("Clusters or services are tagged for security or data residency, and there is no finding.")
    decision, why = scores.decision_of(study)
    lead += [why] if why else []
    tables = [by_criteria(study), _regions(study), found]
    tables += [scores.scores(decision, study.weights)] if decision else []
    return Section(
        "trade-offs",
        "The trade-offs",
        lead=tuple(lead),
        tables=tuple(one for one in tables if one is not None),
        figures=(scores.figure(decision),) if decision else (),
        tail=scores.words(decision) if decision else (),
        aside=(everything,) if everything else (),
    )


def by_criteria(study: Study) -> Table:
    """Return the deployments side by side, criterion by criterion."""
    lines = [(criterion, line) for criterion, names in CRITERIA.items() for name in names for line in _of(study, name)]
    return table(study, "trade-offs", "Deployments by criteria", lines)


def _regions(study: Study) -> Table | None:
    """Return what users saw by the region they entered in; None where all enter in one."""
    if len(study.entries) < 2:
        return None
    lines = [
        (f"users entering in {short(region, NAME)}", found[name])
        for region, found in study.entries.items() for name in _OF_USERS if name in found
    ]  # fmt: skip
    return table(study, "regions", f"What users saw by the region where they enter: {study.when}", lines)


def _of(study: Study, name: str) -> list[Line]:
    flows = ("all", *FLOWS) if name in _BY_FLOW else ("all",)
    phase = study.ordinary.name if name in _COSTS else WHOLE if name in _OF_THE_RUN else ""
    return [line for flow in flows if (line := study.line(name, flow, phase)) is not None and _tells(line)]


def _tells(line: Line) -> bool:
    """Return whether a line says anything: nothing went wrong anywhere is told by the success rate alone."""
    return line.metric in ("success_rate", "time_to_recover", "config_recovery") or any(
        line.mean(name) != 0 for name in line.rows
    )
