"""Replications until every headline metric is known well enough, or until time or patience is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from meshsim.errors import Problem, ScenarioError

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.analysis.enough import Lack
    from meshsim.analysis.phases import Phase

Reason = Literal["precision", "max_replications", "budget", "interrupted"]

#: Replications without which there is no spread worth the name.
LEAST = 3


@dataclass(frozen=True, slots=True)
class Precision:
    """How well the headline metrics are to be known, and what that may cost.

    Parameters
    ----------
    relative
        Half width of the 95 % intervals as a part of the metric; `meshsim.analysis.enough.tolerance` says of what.
    max_replications
        Per deployment.
    budget
        Seconds of wall time after which no further replication begins; None for no limit. What it then comes to
        depends on the machine.
    look_ahead
        Replications that have to follow with the intervals still narrow enough. An interval that is narrow by chance
        is the more likely to miss, and few replications are narrow by chance easily. Source: K. Hoad, S. Robinson,
        R. Davies, Journal of the Operational Research Society 61 (2010) 1632.

    Raises
    ------
    ScenarioError
        With everything that is wrong.

    Examples
    --------
    >>> Precision(0.05).look_ahead
    5
    """

    relative: float
    max_replications: int = 100
    budget: float | None = None
    look_ahead: int = 5

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.relative < 1:
            problems.append(Problem(f"{self.relative:.4g} is not between 0 % and 100 %", file="--precision"))
        if self.max_replications < LEAST:
            message = f"{self.max_replications} replications show no spread; give {LEAST} or more"
            problems.append(Problem(message, file="--max-replications"))
        if self.budget is not None and not self.budget > 0:
            problems.append(Problem("no time is no budget; give one such as 10m", file="--budget"))
        if problems:
            raise ScenarioError(problems)


def settled(precise: Sequence[bool], look_ahead: int, least: int = LEAST) -> int | None:
    """Return with how many replications the intervals became narrow enough and stayed so; None if they have not.

    Parameters
    ----------
    precise
        Whether they were narrow enough with 1, 2, 3, … replications.
    look_ahead
        Replications that have to follow; more beyond a hundred, in proportion.
    least
        Replications that do not count for themselves.

    Examples
    --------
    >>> settled([False, True, True, False, *[True] * 6], 5), settled([False, True, True, False, *[True] * 5], 5)
    (5, None)
    """
    for n in range(least, len(precise) + 1):
        following = precise[n - 1 : n + _ahead(look_ahead, n)]
        if len(following) == _ahead(look_ahead, n) + 1 and all(following):
            return n
    return None


def _ahead(look_ahead: int, n: int) -> int:
    return look_ahead if n <= 100 else look_ahead * n // 100


class Sequential:
    """A look at the results after every replication, which decides whether more are wanted.

    The decision depends on the results only, never on how many processes computed them; only a budget of wall time
    depends on the machine.

    Parameters
    ----------
    precision
        What is wanted.
    spans
        The phases of the scenario.
    clock
        Seconds of wall time.
    """

    def __init__(
        self, precision: Precision, spans: Sequence[Phase], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._precision, self._spans, self._clock = precision, spans, clock
        self._began = clock()
        self._summaries: list[pd.DataFrame] = []
        self._lacking: list[list[Lack]] = []
        self._stopped: Reason = "interrupted"

    def first(self) -> int:
        """Return how many replications to begin with."""
        # With a budget the first ones tell how long one takes; without, fewer than these could not end it anyway.
        return LEAST if self._precision.budget else min(LEAST + self._precision.look_ahead, self._limit)

    @property
    def _limit(self) -> int:
        return self._precision.max_replications

    def more(self, replications: Sequence[Mapping[str, pd.DataFrame]]) -> int:
        """Return how many more replications to run, 0 for none, given the tables of those that just finished.

        Parameters
        ----------
        replications
            The tables of every deployment, one mapping for each replication, in order.
        """
        for tables in replications:
            self._take(tables)
        n, wish = len(self._summaries), self._wish()
        if not wish:
            self._stopped = "precision"
        elif n >= self._limit:
            self._stopped = "max_replications"
        elif not (affordable := self._affordable()):
            self._stopped = "budget"
        else:
            return min(wish, self._limit - n, affordable)
        return 0

    def _take(self, tables: Mapping[str, pd.DataFrame]) -> None:
        """Look at one more replication."""
        import pandas as pd

        from meshsim.analysis.enough import PRECISE, lacks
        from meshsim.analysis.summary import compare, differences, summarize

        summary = summarize(tables, self._spans)
        summary = summary[summary["metric"].isin(("requests", *PRECISE)) & (summary["flow"] == "all")]
        self._summaries.append(summary.assign(replication=len(self._summaries)))
        so_far = pd.concat(self._summaries, ignore_index=True)
        self._lacking.append(lacks(compare(so_far), differences(so_far), self._precision.relative))

    def _wish(self) -> int:
        """Return how many replications are wanted next: what it will probably take, but never more than double."""
        n, look_ahead = len(self._summaries), self._precision.look_ahead
        if settled([not lacking for lacking in self._lacking], look_ahead) is not None:
            return 0
        lacking = self._lacking[-1]
        if not lacking:
            quiet = next((at for at, found in enumerate(reversed(self._lacking)) if found), n - LEAST + 1)
            return max(_ahead(look_ahead, n) + 1 - quiet, 1)
        expected = max(lack.needed or n + 1 for lack in lacking)
        return max(min(expected + look_ahead - n, n), 1)

    def _affordable(self) -> int:
        """Return how many replications the budget still has time for."""
        if self._precision.budget is None:
            return self._limit
        spent = self._clock() - self._began
        each = spent / max(len(self._summaries), 1)
        return max(int((self._precision.budget - spent) / each), 0) if each > 0 else self._limit

    def report(self) -> dict[str, Any]:
        """Return what was wanted, what ended it and what is missing, as data for the manifest.

        ``decisive`` is what was the last to be known well enough; ``missing`` what is not, those that lack most first.
        """
        missing = self._lacking[-1] if self._lacking else []
        last = next((lacking for lacking in reversed(self._lacking) if lacking), [])
        return {
            "relative": self._precision.relative,
            "confidence": 0.95,
            "look_ahead": self._precision.look_ahead,
            "max_replications": self._limit,
            "budget": self._precision.budget,
            "stopped_by": self._stopped,
            "settled_with": settled([not lacking for lacking in self._lacking], self._precision.look_ahead),
            "replications": len(self._summaries),
            "decisive": asdict(last[0]) if last else None,
            "missing": [asdict(lack) for lack in missing],
        }
