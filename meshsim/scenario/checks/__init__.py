"""What a document's fields say together: names that exist, times that fit, calls that end; all findings at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from meshsim.errors import Problem
from meshsim.scenario.checks import (
    autoscaling,
    configuration,
    control_planes,
    entries,
    expectations,
    failover,
    gateways,
    governance,
    identity,
    load,
    places,
    sampling,
    services,
    timeline,
    what_if,
)
from meshsim.scenario.checks.finding import Finding
from meshsim.scenario.partial import NotKnownError
from meshsim.scenario.schema import Document
from meshsim.scenario.tree import Path, Place, format_path

__all__ = ["CHECKS", "NAME_CHECKS", "NUMBER_CHECKS", "Check", "Finding", "apart", "check", "findings", "told"]

Check: TypeAlias = Callable[[Document], Iterator[Finding]]

#: Checks of names only, which mean something even while numbers are wrong. A new check is a function and a line here.
NAME_CHECKS: tuple[Check, ...] = (
    places.clusters_lie_in_known_zones,
    places.gateways_stand_in_known_clusters,
    places.latency_is_between_known_places,
    control_planes.deployments_control_every_cluster_once,
    identity.roots_belong_to_control_planes,
    services.services_have_names_of_their_own,
    services.services_have_pods,
    entries.hosts_have_entries,
    entries.entries_have_endpoints,
    services.workloads_override_known_endpoints,
    services.calls_name_known_endpoints,
    load.load_enters_known_services,
    load.load_enters_by_known_clusters,
    timeline.targets_match_something,
    configuration.deleted_resources_exist,
    expectations.expectations_are_of_something,
    governance.prices_are_of_known_regions,
    governance.data_stays_in_known_regions,
    what_if.variants_are_of_a_deployment,
    what_if.variants_change_what_they_may,
    sampling.sampled_events_exist,
)
#: Checks that count on numbers, too.
NUMBER_CHECKS: tuple[Check, ...] = (
    services.calls_come_to_an_end,
    places.proxies_cost_what_they_do,
    entries.entries_take_the_place_of_pods,
    load.load_reaches_every_service,
    load.phases_happen_within_the_run,
    load.scale_meets_open_load,
    autoscaling.autoscalers_fit_their_replicas,
    autoscaling.scaled_workloads_keep_their_replicas,
    control_planes.waits_for_quiet_end,
    timeline.events_happen_within_the_run,
    timeline.repetitions_are_possible,
    timeline.factors_stay_finite,
    timeline.events_change_something,
    timeline.surges_meet_open_load,
    sampling.windows_lie_in_the_run,
    sampling.what_depends_on_load_is_named,
    identity.certificates_have_time_to_matter,
    failover.failover_is_between_known_regions,
    failover.distribute_is_over_known_localities,
    gateways.east_west_gateways_are_opened,
    governance.data_is_kept_where_it_may_be,
)
#: Every check.
CHECKS: tuple[Check, ...] = (*NAME_CHECKS, *NUMBER_CHECKS)


def findings(document: Document, checks: Sequence[Check] = CHECKS) -> Iterator[Finding]:
    """Yield what checks find; each goes as far as what it asks for is known of the document.

    Parameters
    ----------
    document
        A document whose fields are each valid, or those of it that are known.
    checks
        The checks to make.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> document = Document.model_validate({**EXAMPLE, "warm_up": "10m"})
    >>> [finding.path for finding in findings(document)]
    [('warm_up',)]
    """
    for look in checks:
        try:
            yield from look(document)
        except NotKnownError:
            continue


def apart(found: Iterable[Finding], ignore: Sequence[Path]) -> Iterator[Finding]:
    """Yield findings that are not at, above or below some paths, in which ``*`` stands for any key.

    Examples
    --------
    >>> found = [Finding(("a", "x", "y"), "is odd"), Finding(("a", "x", "z"), "is odd, too")]
    >>> [one.path for one in apart(found, [("a", "*", "y")])]
    [('a', 'x', 'z')]
    """
    for finding in found:
        if not any(_related(finding.path, path) for path in ignore):
            yield finding


def told(found: Iterable[Finding], locate: Callable[[Path], Place]) -> tuple[list[Problem], list[Problem]]:
    """Return findings at their places: what is wrong, and what is probably not meant.

    Parameters
    ----------
    found
        What checks have found.
    locate
        Gives the file and line of a path.

    Examples
    --------
    >>> told([Finding(("load",), "is odd", warning=True)], lambda path: Place("f.yaml", 3))[1][0].line
    3
    """
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for finding in found:
        place = locate(finding.path)
        problem = Problem(finding.message, format_path(finding.path), place.file, place.line)
        (warnings if finding.warning else problems).append(problem)
    return problems, warnings


def check(
    document: Document, locate: Callable[[Path], Place], checks: Sequence[Check] = CHECKS
) -> tuple[list[Problem], list[Problem]]:
    """Return what is wrong with a document, and what is probably not meant.

    Parameters
    ----------
    document, checks
        As of `findings`.
    locate
        Gives the file and line of a path.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> document = Document.model_validate({**EXAMPLE, "warm_up": "10m"})
    >>> problems, warnings = check(document, lambda path: Place("f.yaml", 3))
    >>> str(problems[0])
    'f.yaml:3: warm_up: 10m is not below the duration, 5m'
    """
    return told(findings(document, checks), locate)


def _related(one: Path, other: Path) -> bool:
    return all(yours in (mine, "*") for mine, yours in zip(one, other, strict=False))
