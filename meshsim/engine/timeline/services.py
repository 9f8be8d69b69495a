"""Events of services: pods that compute slower, or answer with errors."""

from __future__ import annotations

from meshsim.engine.environment import Undo
from meshsim.engine.timeline.reach import Reach, Trouble
from meshsim.engine.truth import Pod
from meshsim.scenario.schema import ServiceFailing, ServiceSlow


def service_slow(reach: Reach, event: ServiceSlow) -> Undo | None:
    """Multiply the time of the computations of pods; the factors of several events multiply."""
    return _install(reach, Trouble.at(reach.document, event.target, slow=event.factor))


def service_failing(reach: Reach, event: ServiceFailing) -> Undo | None:
    """Let pods answer a part of their requests with an error; of several codes the latest counts."""
    return _install(reach, Trouble.at(reach.document, event.target, fraction=event.fraction, code=event.code))


def _install(reach: Reach, trouble: Trouble) -> Undo | None:
    if not trouble.workloads or not trouble.zones:
        return None
    reach.troubles.append(trouble)
    _update(reach, trouble)

    def undo() -> None:
        reach.troubles.remove(trouble)
        _update(reach, trouble)

    return undo


def _update(reach: Reach, trouble: Trouble) -> None:
    for cluster in reach.clusters.values():
        for pod in cluster.pods.values():
            if trouble.hits(pod):
                set_troubles(reach, pod)


def set_troubles(reach: Reach, pod: Pod) -> None:
    """Set a pod's speed and failures from the troubles that there are now, so that none leaves a trace."""
    slow, healthy, code = 1.0, 1.0, 0
    for trouble in reach.troubles:
        if trouble.hits(pod):
            slow *= trouble.slow
            healthy *= 1.0 - trouble.fraction
            code = trouble.code or code
    reach.mesh.plane.trouble(pod.number, slow=slow, fraction=1.0 - healthy, code=code)
