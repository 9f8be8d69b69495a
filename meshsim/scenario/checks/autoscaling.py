"""Checks of autoscalers: their bounds fit each other, and the number of replicas."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.scenario.checks.finding import Finding
from meshsim.scenario.schema import Autoscale, Document, Scale
from meshsim.scenario.selectors import select_workloads
from meshsim.scenario.tree import Path

_WAY_OUT = "to keep the number, take it away (autoscale: null)"
#: The bound that need not be above the number of replicas: nobody has written it.
_DEFAULT = Autoscale.model_fields["max_replicas"].default


def autoscalers_fit_their_replicas(document: Document) -> Iterator[Finding]:
    """Yield autoscalers whose least is above their most, and numbers of replicas that they change at once."""
    for path, replicas, autoscale in _autoscalers(document):
        least, most = autoscale.min_replicas, autoscale.max_replicas
        where = (*path, "autoscale")
        if least is not None and most < least:
            yield Finding((*where, "max_replicas"), f"{most} is below min_replicas, {least}")
        elif least is None and most not in {_DEFAULT, max(most, *replicas)}:
            message = f"has no effect: there are {max(replicas)} replicas, and no fewer by default; give min_replicas"
            yield Finding((*where, "max_replicas"), message, warning=True)
        elif least is not None and not all(least <= number <= most for number in replicas if number):
            message = f"the autoscaler keeps {least} to {most} replicas; {_list(replicas)} are changed at once"
            yield Finding((*path, "replicas"), message, warning=True)


def scaled_workloads_keep_their_replicas(document: Document) -> Iterator[Finding]:
    """Yield numbers of replicas that an autoscaler does not keep; one of 0 switches it off."""
    for index, event in enumerate(document.timeline):
        if not isinstance(event, Scale) or event.replicas == 0:
            continue
        hit = dict.fromkeys(service for service, _, _ in select_workloads(document, event.target))
        own = [name for name in hit if document.services[name].autoscale is not None]
        if own:
            message = f"does not last: the autoscaler of {', '.join(own)} goes on from there; {_WAY_OUT}"
            yield Finding(("timeline", index, "replicas"), message, warning=True)


def _autoscalers(document: Document) -> Iterator[tuple[Path, list[int], Autoscale]]:
    """Yield path, numbers of replicas and autoscaler of whatever has one."""
    if document.istiod.autoscale is not None:
        planes = [plane for one in document.deployments.values() for plane in one.control_planes.values()]
        own = [plane.replicas for plane in planes if plane.replicas is not None]
        yield ("istiod",), [document.istiod.replicas, *own], document.istiod.autoscale
    for field, gateways in (("ingress", document.ingress), ("gateways", document.gateways)):
        for cluster, gateway in gateways.items():
            if gateway.autoscale is not None:
                yield (field, cluster), [gateway.replicas], gateway.autoscale
    for name, service in document.services.items():
        if service.autoscale is not None:
            given = [service.replicas, *(one.replicas for one in service.workloads.values())]
            numbers = [
                number
                for one in given
                if one is not None
                for number in (one.values() if isinstance(one, dict) else [one])
            ]
            yield ("services", name), numbers, service.autoscale


def _list(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in dict.fromkeys(numbers))
