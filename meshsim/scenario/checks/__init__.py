"""What a document's fields say together: names that exist, times that fit, calls that end; all findings at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from meshsim.scenario.schema import Document
from meshsim.scenario.tree import Path, Place, format_path

__all__ = ["CHECKS", "NAME_CHECKS", "Check", "Finding", "check"]

Check: TypeAlias = Callable[[Document], Iterator[Finding]]

#: Checks of names only, which mean something even while numbers are wrong. A new check is a function and a line here.
NAME_CHECKS: tuple[Check, ...] = (
    places.clusters_lie_in_known_zones,
    places.gateways_stand_in_known_clusters,
    places.latency_is_between_known_places,
    control_planes.deployments_control_every_cluster_once,
    identity.roots_belong_to_control_planes,
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
)
#: Every check.
CHECKS: tuple[Check, ...] = (
    *NAME_CHECKS,
    services.calls_come_to_an_end,
    places.proxies_cost_what_they_do,
    entries.entries_take_the_place_of_pods,
    load.load_reaches_every_service,
    load.phases_happen_within_the_run,
    load.scale_meets_open_load,
    autoscaling.autoscalers_fit_their_replicas,
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


def check(
    document: Document, locate: Callable[[Path], Place], checks: Sequence[Check] = CHECKS, ignore: Sequence[Path] = ()
) -> tuple[list[Problem], list[Problem]]:
    """Return what is wrong with a document, and what is probably not meant.

    Parameters
    ----------
    document
        A document whose fields are each valid.
    locate
        Gives the file and line of a path.
    checks
        The checks to make.
    ignore
        Findings at, above and below these paths are left out.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> document = Document.model_validate({**EXAMPLE, "warm_up": "10m"})
    >>> problems, warnings = check(document, lambda path: Place("f.yaml", 3))
    >>> str(problems[0])
    'f.yaml:3: warm_up: 10m is not below the duration, 5m'
    """
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for look in checks:
        for finding in look(document):
            if any(_related(finding.path, path) for path in ignore):
                continue
            place = locate(finding.path)
            problem = Problem(finding.message, format_path(finding.path), place.file, place.line)
            (warnings if finding.warning else problems).append(problem)
    return problems, warnings


def _related(one: Path, other: Path) -> bool:
    return all(mine == yours for mine, yours in zip(one, other, strict=False))
