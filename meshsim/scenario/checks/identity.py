"""Checks of certificates: root certificates belong to somebody, and what happens to them has time to matter."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.scenario.checks.control_planes import names
from meshsim.scenario.checks.finding import Finding, unknown
from meshsim.scenario.schema import CertificateAuthorityDown, Document, RootChange
from meshsim.scenario.selectors import replicas_of, workloads_of
from meshsim.units import format_duration

#: Events that start pods, which get their first certificate then.
_STARTING = ("rollout", "pod_churn", "scale")


def roots_belong_to_control_planes(document: Document) -> Iterator[Finding]:
    """Yield root certificates of what is neither a control plane nor a cluster that one may run in."""
    known = list(dict.fromkeys([*names(document), *document.clusters]))
    for name in document.identity.roots:
        if name not in known:
            yield unknown(("identity", "roots", name), "control plane or cluster", name, known)


def certificates_have_time_to_matter(document: Document) -> Iterator[Finding]:
    """Yield events of which no proxy can notice anything, since certificates live so much longer than they last.

    A certificate is renewed while `renewal` of its life is left, so an authority may be down for as long without any
    of them expiring (spec §5.2). Pods that start meanwhile notice at once: a timeline that starts some is right.
    """
    if any(event.event in _STARTING for event in document.timeline):
        return
    identity = document.identity
    slack = identity.certificate_ttl * max(identity.renewal - identity.renewal_jitter, 0.0)
    for index, event in enumerate(document.timeline):
        if isinstance(event, CertificateAuthorityDown) and event.duration < slack:
            message = (
                f"no certificate expires in {format_duration(event.duration)}: each is renewed with "
                f"{format_duration(slack)} or more of its life left, and no event starts pods meanwhile"
            )
            yield Finding(("timeline", index), message, warning=True)
        elif isinstance(event, RootChange):
            yield from _renewed_after(document, index, event)


def _renewed_after(document: Document, index: int, event: RootChange) -> Iterator[Finding]:
    """Yield a change of the root after which less than one certificate is renewed on average."""
    identity, left = document.identity, document.duration - event.start
    between = identity.certificate_ttl * (1 - identity.renewal)
    pods = sum(
        replicas_of(document, service, workload, cluster)
        for service in document.services
        for workload in workloads_of(document, service)
        for cluster in document.clusters
    )
    if 0 < left * pods < between:
        message = (
            f"hardly a proxy learns of it: certificates are renewed every {format_duration(between)}, and the run ends "
            f"{format_duration(left)} later; lengthen the run or shorten identity.certificate_ttl"
        )
        yield Finding(("timeline", index), message, warning=True)
