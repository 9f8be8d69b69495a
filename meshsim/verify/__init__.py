"""The simulator against queueing theory and against its own laws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from meshsim import experiment
from meshsim.analysis.statistics import interval
from meshsim.scenario import load
from meshsim.verify.cases import Case, cases
from meshsim.verify.laws import ROUNDING, Witness
from meshsim.verify.parts import Spec

#: Replications of every case.
REPLICATIONS = 8
#: Probability that not a single interval misses, if all is right; shared out among the claims (Bonferroni).
CONFIDENCE = 0.99
#: A wider interval, relative to the exact value, would prove nothing.
WIDEST = 0.06
#: Bundled scenarios on which the laws are checked: faults, retries, ejections, several networks.
LAWFUL: Mapping[str, Sequence[str]] = {
    "online-boutique-primary-outage": ("load.scale=0.1",),
    "helloworld-locality-failover": (),
    "hotel-reservation-gateway-loss": ("load.scale=0.1",),
}

Watch = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Check:
    """A number of the simulator beside the exact one.

    Parameters
    ----------
    name
        The case.
    what
        The number, with its unit.
    exact
        What theory says, or the other side of a law.
    estimate, half_width
        Mean over replications and half of its confidence interval; a law has no interval.
    passed
        Whether the interval covers the exact value and is narrow, or the law holds.
    """

    name: str
    what: str
    exact: float
    estimate: float
    half_width: float
    passed: bool


def verify(watch: Watch | None = None, *, seed: int = 1) -> list[Check]:
    """Run every check and return them, theory first.

    Parameters
    ----------
    watch
        Told before each part: how many are done, how many there are, and what comes now.
    seed
        Of every scenario.
    """
    known = cases()
    claims = sum(len(case.claims) for case in known)
    found: list[Check] = []
    for done, case in enumerate(known):
        if watch is not None:
            watch(done, len(known) + len(LAWFUL), case.name)
        found += check(case, confidence=1.0 - (1.0 - CONFIDENCE) / claims, seed=seed)
    for done, name in enumerate(LAWFUL, start=len(known)):
        if watch is not None:
            watch(done, len(known) + len(LAWFUL), name)
        found += list(check_laws(name, seed=seed))
    return found


def check(
    case: Case, *, confidence: float = CONFIDENCE, seed: int = 1, replications: int = REPLICATIONS
) -> list[Check]:
    """Run a case and compare every claim with its interval."""
    tables = measured(case.scenario, seed=seed, replications=replications)
    found = []
    for claim in case.claims:
        estimate = interval(claim.read(tables), confidence)
        narrow = estimate.half_width <= WIDEST * abs(claim.exact)
        passed = bool(estimate.n == replications and narrow and estimate.covers(claim.exact))
        found.append(Check(case.name, claim.what, claim.exact, estimate.mean, estimate.half_width, passed))
    return found


def measured(scenario: Spec, *, seed: int = 1, replications: int = REPLICATIONS) -> dict[str, Any]:
    """Run a scenario; return what was counted after its warm-up, as data frames by table.

    Raises
    ------
    ScenarioError
        If the scenario is wrong.
    """
    described = load({**scenario, "seed": seed})
    tables = experiment.run(described, replications=replications).tables
    counted = ("requests", "calls", "latency")
    return {name: tables[name][tables[name]["start"] >= described.document.warm_up] for name in counted}


def check_laws(name: str, *, seed: int = 1) -> Iterator[Check]:
    """Run a bundled scenario, shortened, under each deployment and check every law."""
    scenario = load(name, (*LAWFUL[name], f"seed={seed}"))
    for deployment in scenario.document.deployments:
        _, laws = Witness(scenario, deployment).run()
        for law in laws:
            yield Check(f"{name}, {deployment}", law.name, law.right, law.left, 0.0, law.holds)


def to_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the checks for scripts."""
    return {
        "passed": all(check.passed for check in checks),
        "confidence": CONFIDENCE,
        "replications": REPLICATIONS,
        "rounding": ROUNDING,
        "checks": [{name: _plain(value) for name, value in asdict(check).items()} for check in checks],
    }


def _plain(value: Any) -> Any:
    """Return NumPy's numbers as Python's, which JSON knows."""
    return value.item() if hasattr(value, "item") else value


def table(checks: Sequence[Check]) -> str:
    """Return the checks as text: a line each for theory, a line per run for the laws that hold.

    Examples
    --------
    >>> print(table([Check("M/M/1", "mean response, s", 0.05, 0.0501, 0.0004, True)]))
    check  what              exact  simulated        verdict
    M/M/1  mean response, s  0.05   0.0501 ± 0.0004  ok
    <BLANKLINE>
    1 of 1 checks passed
    """
    rows = [("check", "what", "exact", "simulated", "verdict")]
    laws: dict[str, list[Check]] = {}
    for check in checks:
        if check.half_width or not check.passed:
            simulated = f"{check.estimate:.4g}" + (f" ± {check.half_width:.2g}" if check.half_width else "")
            rows.append((check.name, check.what, f"{check.exact:.4g}", simulated, "ok" if check.passed else "FAILED"))
        else:
            laws.setdefault(check.name, []).append(check)
    rows += [(name, f"{len(kept)} laws", "", "exactly", "ok") for name, kept in laws.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    passed = sum(check.passed for check in checks)
    return "\n".join([*lines, "", f"{passed} of {len(checks)} checks passed"])
