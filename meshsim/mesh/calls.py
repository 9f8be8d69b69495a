"""Who calls whom: the calls in the scripts, mean visits per user request, and what is wrong with the call graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshsim.mesh.placement import place
from meshsim.scenario.checks.load import load_reaches_every_service
from meshsim.scenario.checks.services import calls_come_to_an_end, calls_name_known_endpoints
from meshsim.scenario.requests import actions_of
from meshsim.scenario.schema import CallStep, Document
from meshsim.scenario.scripts import calls as calls_of
from meshsim.scenario.selectors import workloads_of

#: An endpoint with its service: ``(service, endpoint)``.
Operation = tuple[str, str]
Path = tuple[str | int, ...]

#: Calls nested deeper than this do not count towards mean visits: call cycles are legal.
MAX_DEPTH = 64

#: Mean calls that may be left at that depth, per request: a cycle that repeats 8 times in 10 leaves fewer.
LEFT_AT_DEPTH = 1e-3

#: Mean calls below this are no longer followed.
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True)
class Call:
    """One call step of a script.

    Parameters
    ----------
    caller, callee
        Service and endpoint on both sides.
    workload
        The workload whose own script it is in; empty for the script of the service.
    step
        The step itself: count, probability, deadline and so on.
    at_once
        True for a step of a list whose steps run at the same time.
    path
        Where the step is in the document.
    """

    caller: Operation
    callee: Operation
    workload: str
    step: CallStep
    at_once: bool
    path: Path

    @property
    def mean(self) -> float:
        """Mean number of calls per run of the script: count times probability."""
        return self.step.count * self.step.probability


def operation(call: str) -> Operation:
    """Return the service and the endpoint of ``service/endpoint``.

    Parameters
    ----------
    call
        The text of a call step; endpoints may contain slashes, services cannot.

    Examples
    --------
    >>> operation("frontend/GET /product/{id}")
    ('frontend', 'GET /product/{id}')
    """
    service, _, endpoint = call.partition("/")
    return service, endpoint


def calls(document: Document) -> Iterator[Call]:
    """Yield every call step of every script, in the order of the file.

    Parameters
    ----------
    document
        The scenario.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> page = {"script": [{"call": "db/get", "count": 2.0}]}
    >>> services = {"web": {"endpoints": {"GET /": page}}, "db": {"endpoints": {"get": {}}}}
    >>> document = Document.model_validate({**EXAMPLE, "services": services})
    >>> [(call.caller, call.callee, call.mean) for call in calls(document)]
    [(('web', 'GET /'), ('db', 'get'), 2.0)]
    """
    for path, service, endpoint, step in calls_of(document):
        workload = str(path[3]) if path[2] == "workloads" else ""
        # Lists alternate: the script is in order, a list in it at once, a list in that in order again.
        depth = len(path) - (7 if workload else 5)
        yield Call((service, endpoint), operation(step.call), workload, step, at_once=depth % 2 == 0, path=path)


def service_graph_problems(document: Document) -> list[tuple[Path, str]]:
    """Return what is wrong with the service graph, as places in the document and messages.

    These are the scenario's own checks, which `meshsim.load` has already made of a file: unknown callees, rings of
    calls that never end, and services that no load reaches.

    Parameters
    ----------
    document
        The scenario, perhaps built by hand.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> page = {"script": [{"call": "cort/get"}]}
    >>> services = {"web": {"endpoints": {"GET /": page}}, "cart": {"endpoints": {"get": {}}}}
    >>> service_graph_problems(Document.model_validate({**EXAMPLE, "services": services}))[0][1]
    "unknown service 'cort'; did you mean 'cart'? (one of cart, web)"
    """
    looks = (calls_name_known_endpoints, calls_come_to_an_end, load_reaches_every_service)
    return [(finding.path, finding.message) for look in looks for finding in look(document)]


def entry_mix(document: Document, entry: str) -> dict[Operation, float]:
    """Return which share of an entry's requests goes to which endpoint; shares add up to 1.

    Parameters
    ----------
    document
        The scenario.
    entry
        A key of ``load``. Without actions, its service's endpoints are requested equally often.

    Raises
    ------
    KeyError
        If there is no such entry.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> services = {"web": {"endpoints": {"GET /": {}, "POST /": {}}}}
    >>> actions = {"look": {"weight": 2.0, "requests": ["GET /"]}, "buy": {"requests": ["GET /", "POST /"]}}
    >>> load = {"web": {"rate": "1/s", "actions": actions}}
    >>> document = Document.model_validate({**EXAMPLE, "services": services, "load": load})
    >>> entry_mix(document, "web")
    {('web', 'GET /'): 0.75, ('web', 'POST /'): 0.25}
    """
    weights: dict[Operation, float] = {}
    for weight, _, asked in actions_of(document, entry):
        for key in map(operation, asked):
            weights[key] = weights.get(key, 0.0) + weight
    total = sum(weights.values())
    return {key: weight / total for key, weight in weights.items()}


def visits(document: Document, start: Mapping[Operation, float]) -> dict[Operation, float]:
    """Return how often each endpoint runs on average when everything answers, the start included.

    Parameters
    ----------
    document
        The scenario. The scripts of a service's workloads count in proportion to their pods in all clusters.
    start
        Requests by endpoint.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> page = {"script": [{"call": "db/get", "count": 1.5}]}
    >>> services = {"web": {"endpoints": {"GET /": page}}, "db": {"endpoints": {"get": {}}}}
    >>> document = Document.model_validate({**EXAMPLE, "services": services})
    >>> visits(document, {("web", "GET /"): 1.0})
    {('web', 'GET /'): 1.0, ('db', 'get'): 1.5}
    """
    return _visits(_mean_calls(document), start)


def _visits(
    mean_calls: Mapping[Operation, Mapping[Operation, float]], start: Mapping[Operation, float]
) -> dict[Operation, float]:
    total = dict(start)
    for level in _levels(mean_calls, start):
        for key, mean in level.items():
            total[key] = total.get(key, 0.0) + mean
    return total


def calls_per_entry(document: Document) -> dict[str, dict[str, float]]:
    """Return, by load entry, the mean number of visits of each service per user request, when everything answers.

    Parameters
    ----------
    document
        The scenario. Services that an entry never reaches are left out.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> page = {"script": [{"call": "db/get", "count": 1.5}]}
    >>> services = {"web": {"endpoints": {"GET /": page}}, "db": {"endpoints": {"get": {}}}}
    >>> document = Document.model_validate({**EXAMPLE, "services": services})
    >>> calls_per_entry(document)
    {'web': {'web': 1.0, 'db': 1.5}}
    """
    result = {}
    mean_calls = _mean_calls(document)
    for entry in document.load.entries:
        means: dict[str, float] = {}
        for (service, _), mean in _visits(mean_calls, entry_mix(document, entry)).items():
            means[service] = means.get(service, 0.0) + mean
        result[entry] = means
    return result


def runaways(document: Document) -> list[str]:
    """Return the load entries whose requests make calls that have not died out `MAX_DEPTH` calls deep.

    Parameters
    ----------
    document
        The scenario.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> again = {"script": [{"call": "web/GET /", "count": 2, "probability": 0.6}]}
    >>> services = {"web": {"endpoints": {"GET /": again}}}
    >>> runaways(Document.model_validate({**EXAMPLE, "services": services}))
    ['web']
    """
    mean_calls = _mean_calls(document)
    found = []
    for entry in document.load.entries:
        levels = list(_levels(mean_calls, entry_mix(document, entry)))
        if len(levels) == MAX_DEPTH and sum(levels[-1].values()) > LEFT_AT_DEPTH:
            found.append(entry)
    return found


def _mean_calls(document: Document) -> dict[Operation, dict[Operation, float]]:
    """Mean calls between endpoints per run of the caller, averaged over the caller's workloads."""
    shares = _workload_shares(document)
    means: dict[Operation, dict[Operation, float]] = {}
    for call in calls(document):
        service = call.caller[0]
        if call.workload:
            share = shares[service].get(call.workload, 0.0)
        else:
            workloads = workloads_of(document, service)
            share = sum(
                part for name, part in shares[service].items() if call.caller[1] not in workloads[name].endpoints
            )
        row = means.setdefault(call.caller, {})
        row[call.callee] = row.get(call.callee, 0.0) + share * call.mean
    return means


def _workload_shares(document: Document) -> dict[str, dict[str, float]]:
    """Share of each workload in its service's pods, over all clusters."""
    pods: dict[str, dict[str, float]] = {service: {} for service in document.services}
    for workload in place(document):
        row = pods[workload.service]
        row[workload.name] = row.get(workload.name, 0.0) + workload.replicas
    return {service: {name: count / sum(row.values()) for name, count in row.items()} for service, row in pods.items()}


def _levels(
    mean_calls: Mapping[Operation, Mapping[Operation, float]], start: Mapping[Operation, float]
) -> Iterator[dict[Operation, float]]:
    """Mean visits at call depth 1, 2, … until none are left or `MAX_DEPTH` is reached."""
    level = dict(start)
    for _ in range(MAX_DEPTH):
        below: dict[Operation, float] = {}
        for caller, requests in level.items():
            for callee, mean in mean_calls.get(caller, {}).items():
                below[callee] = below.get(callee, 0.0) + requests * mean
        level = {key: mean for key, mean in below.items() if mean > _NEGLIGIBLE}
        if not level:
            return
        yield level
