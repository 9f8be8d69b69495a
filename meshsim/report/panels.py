"""Where a plot draws: a picture of its own, or the place of somebody's Axes; and what it returns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from meshsim.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure


class Panels(np.ndarray[Any, np.dtype[Any]]):
    """The Axes of a plot of several panels, in order; a notebook shows the picture they are on.

    Examples
    --------
    >>> figure = style.picture(4.0, 2.0)
    >>> panels = Panels(figure.subplots(1, 2))
    >>> len(panels), panels.figure is figure
    (2, True)
    """

    def __new__(cls, axes: Iterable[Axes]) -> Self:
        """Make an array of Axes."""
        found = list(axes)
        array = np.empty(len(found), dtype=object)
        array[:] = found
        return array.view(cls)

    @property
    def figure(self) -> Any:
        """The figure, or part of one, that the panels are on."""
        return self.flat[0].figure

    def _repr_png_(self) -> bytes | None:
        return shown(self.figure) if self.size else None


def shown(figure: Any) -> bytes | None:
    """Return a picture of ours as PNG; None for other figures, which their maker shows.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> shown(Figure()) is None
    True
    """
    return style.render(figure, "png") if isinstance(figure, style.Picture) else None


def picture_of(plot: Axes | Panels) -> style.Picture:
    """Return the picture of ours that a plot made for itself.

    Examples
    --------
    >>> float(picture_of(single(None, 4.0, 2.0)).get_figheight())
    2.0
    """
    return cast("style.Picture", plot.figure)


def canvas(ax: Axes | None, width: float, height: float) -> style.Picture | SubFigure:
    """Return what several panels are drawn on: a new picture, or a part of a figure that takes the place of Axes.

    Parameters
    ----------
    ax
        Axes that are removed to make room, such as one of ``plt.subplots(2, layout="constrained")``; None for a new
        picture.
    width, height
        Size of a new picture, inches.

    Raises
    ------
    ValueError
        If the Axes have no place in a grid.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> left, right = Figure(layout="constrained").subplots(1, 2)
    >>> part = canvas(right, 4.0, 2.0)
    >>> len(part.subplots(2, 1)), part.figure is left.figure
    (2, True)
    """
    if ax is None:
        return style.picture(width, height)
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError("a plot of several panels takes the place of Axes made by subplots(); these have none")
    figure: Any = ax.figure
    ax.remove()
    part: SubFigure = figure.add_subfigure(place)
    return part


def single(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the Axes that one panel is drawn in: those given, or those of a new picture.

    Parameters
    ----------
    ax
        The user's Axes, or None.
    width, height
        Size of a new picture, inches.

    Examples
    --------
    >>> float(single(None, 4.0, 2.0).figure.get_figwidth())
    4.0
    """
    if ax is not None:
        return ax
    axes: Axes = style.picture(width, height).subplots()
    return axes


def label(axes: Axes, title: str = "", columns: int = 2) -> None:
    """Give one panel its title and legend: around it on a picture of ours, inside the Axes on somebody's figure.

    Parameters
    ----------
    axes
        What was drawn.
    title
        Above everything; the title of the Axes stays where it is empty.
    columns
        Of the legend.

    Examples
    --------
    >>> axes = single(None, 4.0, 2.0)
    >>> label(axes, "What for")
    >>> axes.figure.get_suptitle()
    'What for'
    """
    ours = isinstance(axes.figure, style.Picture)
    handles, labels = axes.get_legend_handles_labels()
    if title:
        _ = axes.figure.suptitle(title) if isinstance(axes.figure, style.Picture) else axes.set_title(title)
    if handles and ours:
        axes.figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    elif handles:
        axes.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=columns)
