"""Which deployment fits: weighted scores with their intervals, the Pareto front, and what would change the winner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from meshsim.analysis.comparison import UNSEEN
from meshsim.analysis.criteria import Criterion, criteria
from meshsim.analysis.means import Values
from meshsim.analysis.metrics import COST
from meshsim.analysis.multiple_comparisons import Differences, all_pairs
from meshsim.analysis.pareto import Dominance, dominated
from meshsim.analysis.phases import phases
from meshsim.analysis.rare_events import least_difference
from meshsim.analysis.scores import ROUNDING, Scored, longest_recovery, score
from meshsim.analysis.statistics import intervals
from meshsim.analysis.unbilled import pods_apart
from meshsim.analysis.verdicts import said
from meshsim.analysis.weights import around, overtakings, surely, winners
from meshsim.errors import Problem, ScenarioError
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Decision:
    """What speaks for which deployment; docs/decision.md says how each number comes about.

    Parameters
    ----------
    deployments
        In order.
    replications
        Of each.
    confidence
        Of all intervals.
    shipped
        Whether the criteria are the shipped ones, as the scenario gives none.
    criteria
        A row for each: ``criterion, metric`` (in full), ``name, flow, phase`` (its parts), ``meaning, unit, better,
        weight, share`` (of all weights), ``best, worst`` (worth 1 and 0; nan where all score 1), ``anchored`` (whether
        the scenario gives these), ``kind, words`` (the verdict, as of `meshsim.analysis.verdicts`; kind ``missing``
        where nothing was measured, and the share is 0).
    scores
        A row for each criterion that was measured and each deployment: ``criterion, deployment``, the columns of
        `meshsim.analysis.comparison.compare` that tell the value, ``score, score_half_width, points`` (score x share),
        ``beats, beaten_by`` (beyond chance), ``ahead`` (of whom, by the same in every replication, of which there are
        too few to be beyond chance), ``filled`` (replications without a value that counts), ``taken`` (what
        they count as), ``failing`` (whether that is as most requests failed).
    totals
        A row for each deployment: ``deployment, total, half_width, n, rank, difference, difference_half_width`` (from
        the winner), ``verdict`` (against the winner; empty for itself) and ``front``.
    differences
        Of totals, all pairs: ``deployment, than, difference, half_width, n, confidence, verdict``; they hold together.
    dominated
        ``deployment, by``, and tuples of criteria: ``better`` (``by`` is, beyond chance), ``same`` (in every
        replication), ``ahead, behind`` (``by`` is better, or worse, by the same in every replication, of which there
        are too few to be beyond chance) and ``open`` (no difference was seen).
    weights
        A row for each criterion: ``criterion, weight``, between which ``low, high`` the winner stays if the other
        weights do, ``low_winner, high_winner`` (who wins outside; empty for nobody), ``sure_low, sure_high`` (ahead of
        every other beyond chance; nan for nowhere).
    winners
        ``criterion, low, high, deployment``: who wins at which weight, from 0 on.
    overtakes
        ``deployment, than`` (the winner), ``criterion, weight`` (more than that puts the deployment ahead of it),
        ``against`` (the criterion that counts most for the winner) and ``ratio, now`` (weight over that one's, needed
        and present).
    pods
        How many pods the services ask for, by deployment, where a criterion is of cost, which leaves them out, and they
        are not the same for all; empty otherwise.
    """

    deployments: tuple[str, ...]
    replications: int
    confidence: float
    shipped: bool
    criteria: pd.DataFrame
    scores: pd.DataFrame
    totals: pd.DataFrame
    differences: pd.DataFrame
    dominated: pd.DataFrame
    weights: pd.DataFrame
    winners: pd.DataFrame
    overtakes: pd.DataFrame
    pods: Mapping[str, float] = field(default_factory=dict)

    @property
    def winner(self) -> str:
        """The deployment with the highest total."""
        return str(self.totals.loc[self.totals["rank"] == 1, "deployment"].iloc[0])

    @property
    def leaders(self) -> tuple[str, ...]:
        """The winner, and those that are not distinguishable from it."""
        return tuple(self.totals.loc[self.totals["verdict"] != "worse", "deployment"])

    @property
    def front(self) -> tuple[str, ...]:
        """Deployments that no other dominates; all with one replication, which tells nothing."""
        return tuple(self.totals.loc[self.totals["front"], "deployment"])


def decide(
    summary: pd.DataFrame, document: Document, weights: Mapping[str, float] | None = None, confidence: float = 0.95
) -> Decision:
    """Return what speaks for which deployment.

    Parameters
    ----------
    summary
        As `meshsim.analysis.summary.summarize` returns it.
    document
        The scenario, which has the criteria.
    weights
        Weights in place of those of the scenario, by criterion.
    confidence
        Of all intervals.

    Raises
    ------
    ScenarioError
        If a criterion cannot be read, a weight is of none, or nothing was measured of any.

    Examples
    --------
    >>> import pandas as pd
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> rows = [(name, number, "all", metric, "all", value + 0.001 * number)
    ...         for name, values in (("hybrid", (10.0, 0.3)), ("multi-primary", (30.0, 0.1)))
    ...         for metric, value in zip(("cost", "latency_mean"), values) for number in range(6)]
    >>> summary = pd.DataFrame(rows, columns=["deployment", "replication", "phase", "metric", "flow", "value"])
    >>> judged = {"criteria": {"cost": {"weight": 2}, "speed": {"metric": "latency_mean"}}}
    >>> found = decide(summary, Document.model_validate({**EXAMPLE, "decision": judged}))
    >>> found.winner, found.totals["total"].round(2).tolist(), float(found.overtakes["weight"].iloc[0])
    ('hybrid', [0.67, 0.33], 2.0)
    """
    deployments = tuple(str(name) for name in dict.fromkeys(summary["deployment"]))
    judged = criteria(document, weights)
    longest = longest_recovery(phases(document))
    scored = {
        one.name: found
        for one in judged
        if (found := score(summary, one, deployments, longest, confidence)) is not None
    }
    if not scored:
        raise ScenarioError([Problem("nothing was measured of any criterion", "decision")])
    decision = _decided(
        _Case(deployments, judged, list(scored.values()), confidence), shipped=not document.decision.criteria
    )
    costs = [one.wanted.phase for one in judged if one.metric.unit == COST]
    return replace(decision, pods=pods_apart(summary, costs[0])) if costs else decision


class _Case:
    """Criteria that were measured, deployments and weights as arrays."""

    def __init__(
        self, deployments: Sequence[str], judged: Sequence[Criterion], scored: Sequence[Scored], confidence: float
    ) -> None:
        self.deployments, self.judged, self.scored = tuple(deployments), judged, scored
        self.confidence = confidence
        self.weights = np.array([one.criterion.weight for one in scored], dtype=float)
        self.shares = self.weights / self.weights.sum()
        #: By deployment, criterion and replication.
        self.runs = np.stack([one.scores for one in scored], axis=1)
        self.scores: Values = np.nanmean(self.runs, axis=2)
        #: By criterion, deployment and deployment.
        self.better = np.stack([one.better for one in scored])
        self.replications = int(np.isfinite(self.runs[:, 0]).sum(axis=1).max())
        means = self.scores @ self.weights
        self.ranking = np.argsort(-means.round(12), kind="stable").tolist()
        self.winner = int(self.ranking[0])
        #: By criterion, who wins at which of its weights.
        self.segments = [winners(self.scores, self.weights, at, self.winner) for at in range(len(scored))]

    @property
    def names(self) -> list[str]:
        return [one.criterion.name for one in self.scored]

    @property
    def totals(self) -> Values:
        """By deployment and replication."""
        return np.asarray(np.einsum("dcr,c->dr", self.runs, self.shares))

    def word(self, pair: Differences) -> str:
        """Return what the difference of two totals says of ``b``."""
        mean, half, n = float(pair.mean[0]), float(pair.half_width[0]), int(pair.n[0])
        if n < 2 or not abs(mean) > max(half, ROUNDING):
            return UNSEEN
        # Without any spread only what is known criterion by criterion counts, or enough replications that agree.
        apart = np.abs(self.scores[pair.a] - self.scores[pair.b]) > ROUNDING
        known = (self.better[:, pair.a, pair.b] | self.better[:, pair.b, pair.a])[apart].all()
        if pair.agreeing[0] and not known and n < least_difference(float(pair.confidence[0])):
            return UNSEEN
        return "better" if mean > 0 else "worse"


def _decided(case: _Case, *, shipped: bool) -> Decision:
    pairs = list(all_pairs(case.totals[:, None, :], case.confidence))
    lost = [] if case.replications < 2 else dominated(case.better)
    return Decision(
        deployments=case.deployments,
        replications=case.replications,
        confidence=case.confidence,
        shipped=shipped,
        criteria=_criteria(case),
        scores=_scores(case),
        totals=_totals(case, pairs, {one.loser for one in lost}),
        differences=_differences(case, pairs),
        dominated=_dominated(case, lost),
        weights=_weights(case, pairs),
        winners=_winners(case),
        overtakes=_overtakes(case),
    )


# --- as frames --------------------------------------------------------------------------------------------------


def _criteria(case: _Case) -> pd.DataFrame:
    import pandas as pd

    known = {one.criterion.name: (one, share) for one, share in zip(case.scored, case.shares, strict=True)}
    rows = []
    for one in case.judged:
        scored, share = known.get(one.name, (None, 0.0))
        scale = one if scored is None else scored.criterion
        kind, words = ("missing", "nothing was measured: it does not count") if scored is None else _said(case, scored)
        rows.append({
            "criterion": one.name, "metric": str(one.wanted), "name": one.wanted.metric, "flow": one.wanted.flow,
            "phase": one.wanted.phase, "meaning": one.metric.meaning, "unit": one.metric.unit, "better": one.better,
            "weight": one.weight, "share": float(share), "best": scale.best, "worst": scale.worst,
            "anchored": one.anchored, "kind": kind, "words": words,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _said(case: _Case, scored: Scored) -> tuple[str, str]:
    """Return kind and words of the verdict of a criterion."""
    group = scored.counted.assign(**_against(case, scored))
    # Values that were missing count, so that what was measured alone cannot be said to be the same.
    if scored.missing.any():
        group["alike"] = [()] * len(group)
    kind, words = said(group)
    return (kind, UNSEEN) if kind == "open" else (kind, words)


def _against(case: _Case, scored: Scored) -> dict[str, list[Any]]:
    def names(which: Sequence[int]) -> tuple[str, ...]:
        return tuple(case.deployments[place] for place in which)

    return {
        "beats": [names(np.flatnonzero(row).tolist()) for row in scored.better],
        "beaten_by": [names(np.flatnonzero(row).tolist()) for row in scored.better.T],
        "ahead": [names(np.flatnonzero(row).tolist()) for row in scored.ahead],
    }


#: Columns of a comparison that tell a value.
_VALUE = ["mean", "half_width", "low", "high", "n", "missing", "never", "same", "events", "requests_needed", "failing"]


def _scores(case: _Case) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for one, share in zip(case.scored, case.shares, strict=True):
        mean, half, _ = intervals(one.scores, case.confidence)
        never = one.compared["never"].fillna(0).to_numpy(dtype=float) > 0
        frame = one.compared[_VALUE].assign(
            score=mean, score_half_width=half, points=mean * share, **_against(case, one), filled=one.missing,
            taken=np.where(one.missing > 0, np.where(never, one.taken[0], one.taken[1]), math.nan),
        )  # fmt: skip
        frame.insert(0, "criterion", one.criterion.name)
        frame.insert(1, "deployment", case.deployments)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def _totals(case: _Case, pairs: Sequence[Differences], lost: set[int]) -> pd.DataFrame:
    import pandas as pd

    mean, half, n = intervals(case.totals, case.confidence)
    of = {(pair.a, pair.b): pair for pair in pairs}
    rows = []
    for place, name in enumerate(case.deployments):
        a, b = sorted((case.winner, place))
        pair = of.get((a, b))
        sign = 1.0 if place == b else -1.0
        word = "" if pair is None else case.word(pair)
        rows.append({
            "deployment": name, "total": mean[place], "half_width": half[place], "n": int(n[place]),
            "rank": case.ranking.index(place) + 1,
            "difference": math.nan if pair is None else sign * float(pair.mean[0]),
            "difference_half_width": math.nan if pair is None else float(pair.half_width[0]),
            "verdict": "worse" if word in ("better", "worse") else word, "front": place not in lost,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _differences(case: _Case, pairs: Sequence[Differences]) -> pd.DataFrame:
    import pandas as pd

    columns = ["deployment", "than", "difference", "half_width", "n", "confidence", "verdict"]
    rows = [
        (
            case.deployments[pair.b], case.deployments[pair.a], float(pair.mean[0]), float(pair.half_width[0]),
            int(pair.n[0]), float(pair.confidence[0]), case.word(pair),
        )
        for pair in pairs
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _dominated(case: _Case, lost: Sequence[Dominance]) -> pd.DataFrame:
    import pandas as pd

    def names(which: Sequence[int]) -> tuple[str, ...]:
        return tuple(case.names[place] for place in which)

    rows = []
    for one in lost:
        known: dict[str, Sequence[int]] = {
            "better": one.better,
            "same": [at for at, scored in enumerate(case.scored) if scored.same[one.by, one.loser]],
            "ahead": [at for at, scored in enumerate(case.scored) if scored.ahead[one.by, one.loser]],
            "behind": [at for at, scored in enumerate(case.scored) if scored.ahead[one.loser, one.by]],
        }
        told = {at for places in known.values() for at in places}
        known["open"] = [at for at in range(len(case.names)) if at not in told]
        rows.append([case.deployments[one.loser], case.deployments[one.by], *map(names, known.values())])
    return pd.DataFrame(rows, columns=["deployment", "by", "better", "same", "ahead", "behind", "open"])


def _weights(case: _Case, pairs: Sequence[Differences]) -> pd.DataFrame:
    import pandas as pd

    whole = case.runs[:, :, np.isfinite(case.runs).all(axis=(0, 1))]
    ahead = all(case.word(pair) != UNSEEN for pair in pairs if case.winner in (pair.a, pair.b)) and len(pairs) > 0
    rows = []
    for at, (name, segments) in enumerate(zip(case.names, case.segments, strict=True)):
        here = around(segments, float(case.weights[at]), case.winner)
        level = float(pairs[0].confidence[0]) if pairs else case.confidence
        sure = surely(whole, case.weights, at, case.winner, level) if ahead else (math.nan, math.nan)
        below, above = segments[:here][-1:], segments[here + 1 :][:1]
        rows.append({
            "criterion": name, "weight": float(case.weights[at]), "low": segments[here].low,
            "high": segments[here].high, "low_winner": "".join(case.deployments[one.winner] for one in below),
            "high_winner": "".join(case.deployments[one.winner] for one in above),
            "sure_low": sure[0], "sure_high": sure[1],
        })  # fmt: skip
    return pd.DataFrame(rows)


def _winners(case: _Case) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (name, one.low, one.high, case.deployments[one.winner])
        for name, segments in zip(case.names, case.segments, strict=True)
        for one in segments
    ]
    return pd.DataFrame(rows, columns=["criterion", "low", "high", "deployment"])


def _overtakes(case: _Case) -> pd.DataFrame:
    import pandas as pd

    columns = ["deployment", "than", "criterion", "weight", "against", "ratio", "now"]
    rows = [
        (
            case.deployments[one.deployment], case.deployments[case.winner], case.names[one.criterion], one.weight,
            case.names[one.against], one.weight / float(case.weights[one.against]),
            float(case.weights[one.criterion] / case.weights[one.against]),
        )
        for one in overtakings(case.scores, case.weights, case.winner)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
