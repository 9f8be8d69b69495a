"""Points of a scenario: the same scenario with some fields changed, all checked before anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from meshsim.errors import Problem, ScenarioError
from meshsim.experiment.designs import FILE, Axis
from meshsim.experiment.engines import Engine, compute
from meshsim.experiment.shipping import packed
from meshsim.experiment.units import Finished, Unit, Units, key, misfits
from meshsim.experiment.work import Task, task
from meshsim.scenario import Scenario, load
from meshsim.scenario.tree import format_path

if TYPE_CHECKING:
    import pandas as pd


class Landed(NamedTuple):
    """A unit that is finished, as progress is told of it.

    Parameters
    ----------
    where
        Its point in words, such as ``load.scale=2``.
    unit
        Which run of it.
    calls, seconds
        What it took to compute.
    found
        Whether it had been computed before.
    """

    where: str
    unit: Unit
    calls: int
    seconds: float
    found: bool


Watch = Callable[[Landed], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A unit of a point.

    Parameters
    ----------
    point
        Number of the point, from 0.
    where
        The point in words.
    task
        What a worker gets.
    name
        Of the unit in the folder.
    """

    point: int
    where: str
    task: Task
    name: str


def words(varied: Sequence[Axis], values: Sequence[str]) -> tuple[str, ...]:
    """Return the changes that make a point."""
    return tuple(f"{one.path}={value}" for one, value in zip(varied, values, strict=True))


def chosen(scenario: Scenario, deployments: Sequence[str], replications: int | None) -> tuple[list[str], int]:
    """Return the deployments that are meant (all by default, or by ``all``) and the number of replications.

    Raises
    ------
    ScenarioError
        If a deployment is unknown, or there is nothing to run.
    """
    known = list(scenario.document.deployments)
    names = known if "all" in deployments and "all" not in known else list(dict.fromkeys(deployments)) or known
    count = scenario.document.replications if replications is None else replications
    if problems := misfits(known, names, count, "--deployments", also=["all"]):
        raise ScenarioError(problems)
    return names, count


class Checked:
    """A scenario whose points are checked as a file would be.

    Parameters
    ----------
    scenario
        The base of all points.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._resolved: Mapping[str, Any] = scenario.resolved()
        self._text = json.dumps(self._resolved)

    def point(self, changes: Sequence[str]) -> Scenario:
        """Return the scenario at a point.

        Raises
        ------
        ScenarioError
            With everything that is wrong there, under the name of the change that makes it so.
        """
        from meshsim.analysis import criteria, expectations
        from meshsim.mesh import checks
        from meshsim.mesh.deployment import control_planes

        try:
            return load(
                self._resolved, changes, (*checks.CHECKS, *expectations.CHECKS, *criteria.CHECKS), control_planes
            )
        except ScenarioError as error:
            raise ScenarioError([_said(problem, changes) for problem in error.problems]) from None

    def points(self, varied: Sequence[Axis], values: Sequence[Sequence[str]]) -> Iterator[Scenario]:
        """Yield the scenario at each point, after all have been checked where one is wrong.

        Raises
        ------
        ScenarioError
            With everything that is wrong at any of them, each thing once.
        """
        problems: dict[tuple[str, str], Problem] = {}
        for at in values:
            try:
                found = self.point(words(varied, at))
            except ScenarioError as error:
                _note(problems, error)
                continue
            if not problems:
                yield found
        if problems:  # one mistake may hide another, which is seen where it stands alone
            alone = dict.fromkeys(change for at in values for change in words(varied, at))
            for change in alone:
                try:
                    self.point([change])
                except ScenarioError as error:
                    _note(problems, error)
            raise ScenarioError(list(problems.values()))

    def with_kinds(self, varied: Sequence[Axis]) -> tuple[Axis, ...]:
        """Return what varies, with the knowledge which fields take whole numbers only."""
        return tuple(replace(one, whole=self._is_whole(one)) for one in varied)

    def _is_whole(self, one: Axis) -> bool:
        if one.listed or one.low != int(one.low) or one.high != int(one.high):
            return False
        middle = replace(one, low=one.low, high=one.low + 1.0, log=False)
        try:
            self.point([f"{one.path}={one.at(0.0)}"])
        except ScenarioError:
            return False  # something else is wrong, and will be said
        try:
            self.point([f"{one.path}={middle.at(0.5)}"])
        except ScenarioError:
            return True
        return False

    def jobs(
        self,
        varied: Sequence[Axis],
        values: Sequence[Sequence[str]],
        deployments: Sequence[str],
        replications: Sequence[int],
    ) -> list[Job]:
        """Return the units of points, in order of point, replication and deployment.

        Raises
        ------
        ScenarioError
            As `points`, and where a point lacks one of the deployments.
        """
        first = task(self.scenario, Unit(deployments[0], 0), summary=True)._replace(scenario=self._text)
        found = []
        for number, (at, scenario) in enumerate(zip(values, self.points(varied, values), strict=False)):
            changes = words(varied, at)
            own = packed([self._text, *changes])
            for unit in (Unit(name, replication) for replication in replications for name in deployments):
                one = first._replace(changes=changes, unit=unit, own=own)
                found.append(Job(number, ", ".join(changes), one, key(scenario, unit)))
        return found


def _note(problems: dict[tuple[str, str], Problem], error: ScenarioError) -> None:
    """Note what is new of an error."""
    for problem in error.problems:
        problems.setdefault((problem.path, problem.message), problem)


def _said(problem: Problem, changes: Sequence[str]) -> Problem:
    """Return a problem under the name of the change that it is about, or of all where that is not known."""
    from meshsim.scenario.overrides import parse

    about = [change for change in changes if problem.path and format_path(parse(change)[0]) == problem.path]
    return Problem(problem.message, problem.path, f"{FILE} {' '.join(about or changes)}")


def run(
    jobs: Sequence[Job], by: Engine, store: Units | None, watch: Watch | None = None
) -> Iterator[tuple[int, Finished]]:
    """Yield the number of each job with what came out, its summary included.

    Parameters
    ----------
    jobs
        What to run.
    by
        The engine.
    store
        Where finished units are found and land; None for nowhere.
    watch
        Told of every unit.

    Raises
    ------
    MeshsimError
        If the engine fails.
    """
    same: dict[str, list[int]] = {}  # two points may round to one
    for number, job in enumerate(jobs):
        same.setdefault(job.name, []).append(number)
    places = list(same.values())
    there: set[int] = set()
    tasks = [jobs[numbers[0]].task._replace(tables=store is not None) for numbers in places]
    for at, done in compute(tasks, list(same), by, store, found=there.add):
        numbers = places[at]
        light = replace(done, summary=_summary(jobs[numbers[0]], done), columns=None, content=None)
        for number in numbers:
            job = jobs[number]
            if watch is not None:
                again = at in there or number != numbers[0]
                watch(Landed(job.where or "base", job.task.unit, done.calls, done.seconds, again))
            yield number, light


def _summary(job: Job, done: Finished) -> pd.DataFrame:
    """Return the metrics of a unit; of one that an older analysis made, from its tables."""
    if done.summary is not None:
        return done.summary
    from meshsim.analysis.summary import phases, summarize
    from meshsim.results.frames import concatenate

    document = load(json.loads(job.task.scenario), job.task.changes).document
    return summarize(concatenate([done.tables()]), phases(document), document)
