"""What can stand in for parts of a broken document without bringing up problems that it does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from meshsim.scenario.tree import Node, Path

#: Values that stand in for wrong ones where leaving the field out would be wrong too.
STAND_INS: Mapping[str, str | int] = {
    "rate": "1/s",
    "start": "0s",
    "duration": "1s",
    "factor": 1,
    "loss": 0,
    "to": 1,
    "replicas": 1,
    "compute": "1s",
    "rtt": "1s",
    "think_time": "1s",
    "latency": "1s",
    "watch_latency": "1s",
    "pod_start": "1s",
    "every": "1h",
    "at_least": 0,
    "at_most": 1_000_000_000,
}
#: The least that a document has to have.
REQUIRED: Mapping[str, Any] = {
    "name": "x",
    "regions": {"x": {}},
    "clusters": {"x": {"region": "x"}},
    "services": {"x": {"endpoints": {"x": {}}}},
    "load": {"x": {"rate": "1/s"}},
}
_BETWEEN = ("link_slow", "link_lossy", "partition")


class Part(NamedTuple):
    """A part of a document that can be left out.

    Parameters
    ----------
    path
        Where it is; in a pattern, ``*`` stands for any key.
    stand_in
        What takes its place; None if it can be missing.
    uncertain
        Paths of which nothing can be said without it.
    keep
        Fields of it that are kept.
    """

    path: Path
    stand_in: Any = None
    uncertain: tuple[Path, ...] = ()
    keep: tuple[str, ...] = ()


#: Parts of which no name is referred to elsewhere, or whose name stays. The first that a path begins with counts.
_PARTS: tuple[Part, ...] = (
    Part(("decision", "criteria", "*", "weight")),
    Part(("decision", "criteria", "*", "better")),
    Part(("decision", "criteria", "*")),
    Part(("what_if", "variants", "*", "delete", "*"), "Kind/name"),
    Part(("what_if", "variants", "*"), {}),
    Part(("expect", "*"), {"metric": "success_rate", "at_least": 0}, keep=("metric", "deployment", "phase", "flow")),
    Part(("cost", "regions", "*")),
    Part(("cost", "*")),
    Part(("cost",), {}, keep=("regions", "between_regions")),
    Part(("sample", "around_events", "events", "*"), "*"),
    Part(("sample", "*")),
    Part(("latency", "*"), {"between": ["x", "y"], "rtt": "1s"}),
    Part(("load", "*"), {"rate": "1/s"}),
    Part(("deployments", "*"), {}, (("timeline", "*", "target"),)),
    Part(("ingress", "*"), {}),
    Part(("gateways", "*"), {}),
    Part(("istiod", "*")),
    Part(("identity", "*")),
    Part(("kubernetes", "*")),
    Part(("sidecar", "*")),
    Part(("timeline", "*", "delete", "*"), "Kind/name"),
    Part(
        ("timeline", "*"),
        {"event": "rollout", "start": "0s", "target": {}},
        (("sample", "around_events"), ("timeline", "*", "delete")),
        ("name",),
    ),
    Part(("services", "*", "endpoints", "*", "script"), []),
    Part(("services", "*", "workloads", "*", "endpoints", "*", "script"), []),
    *(
        Part(("services", "*", field))
        for field in (
            "autoscale", "data_residency", "hold_worker", "protocol", "queue", "replicas", "request_size",
            "response_size", "traffic_distribution", "workers",
        )
    ),
    Part(("clusters", "*", "region"), "?", (("timeline", "*", "target"), ("deployments",))),
    *(Part(("clusters", "*", field)) for field in ("data_residency", "network", "security_domain", "trust_domain")),
)  # fmt: skip


def part_of(tree: Node, path: Path) -> Part | None:
    """Return the part that a path leads into, with its own path; None if it leads into none that can be left out.

    Examples
    --------
    >>> part_of(Node({}), ("decision", "criteria", "cost", "weight"))
    Part(path=('decision', 'criteria', 'cost', 'weight'), stand_in=None, uncertain=(), keep=())
    """
    if len(path) >= 3 and path[0] == "timeline" and path[2] == "target":
        return Part(path[:3], target_of(tree, path[:3]))
    for part in _PARTS:
        length = len(part.path)
        if len(path) >= length and all(want in ("*", key) for want, key in zip(part.path, path, strict=False)):
            return part._replace(path=path[:length])
    return None


def target_of(tree: Node, path: Path) -> dict[str, Any]:
    """Return a target that matches everything, of the event whose target is at a path.

    Examples
    --------
    >>> from meshsim.scenario.tree import from_python
    >>> target_of(from_python({"timeline": [{"event": "partition"}]}), ("timeline", 0, "target"))
    {'from': {}, 'to': {}}
    """
    event = tree.find((*path[:2], "event"))
    return {"from": {}, "to": {}} if event is not None and event.value in _BETWEEN else {}
