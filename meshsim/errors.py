"""What can go wrong, as one small tree.

::

    MeshsimError
    ├── ScenarioError     the user's files or options are wrong: all problems at once, exit status 2
    ├── ResultsError      a results folder is missing, incomplete or from another version
    └── SimulationError   a run broke one of its own laws: a bug in meshsim, never the user's fault
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


class MeshsimError(Exception):
    """Base of every error meshsim raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file, and where.

    Parameters
    ----------
    message
        What is wrong, with the fix where one is known.
    path
        Where in the document, such as ``services.cart.replicas``; empty for the whole file.
    file, line
        Where in the files; line 0 where no line is known (an option of the command line).
    """

    message: str
    path: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ScenarioError(MeshsimError):
    """The user's scenario, Istio resources or options are wrong.

    Parameters
    ----------
    problems
        Everything that is wrong, in the order of the file.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[ScenarioError], tuple[tuple[Problem, ...]]]:
        # An exception is pickled with its text, which is not what this class is made from.
        return type(self), (self.problems,)


@contextmanager
def gathering(problems: list[Problem]) -> Iterator[None]:
    """Add what is wrong with one part to a list, and go on with the next: all problems are told at once.

    Examples
    --------
    >>> problems = []
    >>> with gathering(problems):
    ...     raise ScenarioError([Problem("is missing", "load")])
    >>> [str(problem) for problem in problems]
    ['load: is missing']
    """
    try:
        yield
    except ScenarioError as error:
        problems += error.problems


class ResultsError(MeshsimError):
    """A results folder cannot be read or written."""


class SimulationError(MeshsimError):
    """A run broke an invariant; the message carries the seed and replication to reproduce it."""


def did_you_mean(word: str, choices: Iterable[str], limit: int = 12) -> str:
    """Return ``"; did you mean 'x'? (one of …)"``, or the choices alone, or nothing.

    Examples
    --------
    >>> did_you_mean("frontent", ["frontend", "cart"])
    "; did you mean 'frontend'? (one of cart, frontend)"
    """
    known = sorted(set(choices))
    if not known:
        return ""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    listed = ", ".join(known[:limit]) + (f", … {len(known) - limit} more" if len(known) > limit else "")
    return f"; did you mean '{close[0]}'? (one of {listed})" if close else f" (one of {listed})"


def cut(text: str, most: int = 60) -> str:
    """Return a text, or as much of its beginning as a message has room for.

    Examples
    --------
    >>> cut("cart"), cut("shopping cart", 8)
    ('cart', 'shopp...')
    """
    return text if len(text) <= most else text[: most - 3] + "..."
