"""What a notebook gets of a mesh's graph, a sensitivity study, a search and a decision: data that shows itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from html import escape
from typing import TYPE_CHECKING, Any

import networkx as nx
import pandas as pd

from meshsim.analysis.decision import Decision
from meshsim.report.shorten import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meshsim.experiment.breaking import Breaking
    from meshsim.experiment.find import Search

#: Clusters of a control plane that are named.
_NAMED = 12


class Topology(nx.MultiDiGraph):  # type: ignore[misc]
    """The graph of a mesh, see `meshsim.mesh.graph.build`; a notebook shows who controls whom.

    Examples
    --------
    >>> "<td>0</td>" in Topology()._repr_html_()
    False
    """

    def _repr_html_(self) -> str:
        kinds = Counter(str(kind) for _, kind in self.nodes(data="kind"))
        counted = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in kinds.items())
        rows = [
            (str(data.get("name", node)), ", ".join(self._served(node)) or "none")
            for node, data in self.nodes(data=True)
            if data.get("kind") == "control-plane"
        ]
        links = f"<p>{escape(counted)}; {self.number_of_edges()} edges</p>"
        return f"<div>{links}{table(('control plane', 'serves'), rows) if rows else ''}</div>"

    def _served(self, plane: str) -> list[str]:
        names = [
            str(self.nodes[to].get("name", to))
            for _, to, kind in self.out_edges(plane, data="kind")
            if kind == "controls"
        ]
        return [*names[:_NAMED], *([f"{len(names) - _NAMED} more"] if names[_NAMED:] else [])]


class Sensitivity(pd.DataFrame):
    """What metrics depend on, a row for each effect; what is taken of it is an ordinary data frame."""

    _metadata = ["method"]  # noqa: RUF012 (pandas wants a list)

    def __init__(self, *given: Any, method: str = "tornado", **more: Any) -> None:
        super().__init__(*given, **more)
        self.method = method

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def picture(self, metric: str = "", deployment: str = "", ax: Axes | None = None) -> Axes:
        """Draw what one metric depends on: a tornado, or Sobol' indices as bars.

        Parameters
        ----------
        metric, deployment
            Which; the first by default.
        ax
            Where to draw; a picture of its own by default.

        Raises
        ------
        ValueError
            If it is not in the study.
        """
        from meshsim.report import sweep_pictures

        wanted = metric or str(self["metric"].iloc[0]), deployment or str(self["deployment"].iloc[0])
        if not ((self["metric"] == wanted[0]) & (self["deployment"] == wanted[1])).any():
            raise ValueError(f"the study has nothing about {wanted[0]} under {wanted[1]}")
        return sweep_pictures.sensitivity(self, self.method, wanted[1], wanted[0], ax)


class Found(list["Breaking"]):
    """Where each deployment breaks, with the picture of what was looked at.

    Examples
    --------
    >>> len(Found())
    0
    """

    def __init__(self, found: Iterable[Breaking] = (), search: Search | None = None) -> None:
        super().__init__(found)
        self.search = search

    def picture(self, ax: Axes | None = None) -> Axes:
        """Draw every point that was looked at, and the answer.

        Parameters
        ----------
        ax
            Where to draw; a picture of its own by default.

        Raises
        ------
        ValueError
            If it is not what `meshsim.find` returned.
        """
        from meshsim.report.sweep_pictures import breaking

        if self.search is None:
            raise ValueError("this is not what meshsim.find returned")
        return breaking(self, self.search, ax)

    def _repr_html_(self) -> str:
        what = f"<p>{escape(f'{self.search.axis.path} until {self.search.bound}')}</p>" if self.search else ""
        return f"<div>{what}{table(('deployment', 'answer'), [(one.deployment, str(one)) for one in self])}</div>"


class Decided(Decision):
    """A decision; a notebook shows its scores, and what they say."""

    @classmethod
    def of(cls, decision: Decision) -> Decided:
        """Return a decision that shows itself."""
        return cls(**vars(decision))

    def _repr_html_(self) -> str:
        from meshsim.report import decision, decision_words

        said = [*decision_words.sentences(self), *(f"Note: {note}" for note in decision_words.notes(self))]
        scores = table(("criterion", "metric", "weight", *self.deployments), decision.table(self))
        return f"<div>{scores}{''.join(f'<p>{escape(line)}</p>' for line in said)}</div>"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return an HTML table; everything in it is escaped.

    Examples
    --------
    >>> table(("a",), [("<b>",)])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(short(str(cell), 200))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
