"""What a section is made of: paragraphs, tables and pictures, each of which is also a file of its own."""

from __future__ import annotations

import csv
import html
import io
from dataclasses import dataclass

from meshsim.report.cells import Sign
from meshsim.report.shorten import short
from meshsim.report.style import Picture

#: Characters of a name in the page; longer ones are cut, so that one name cannot push out everything else.
NAME = 60

#: Marks of a cell: shape and word, so that neither colour nor sight of the shape is needed.
MARKS = {
    "best": "▲ best",
    "better": "△ better",
    "worse": "▽ worse",
    "worst": "▼ worst",
    "open": "≈ no difference seen",
    "same": "= the same",
    "steady": "≠ differs in every replication",
    "failing": "✕ not judged",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as printed.

    Parameters
    ----------
    text
        The value.
    mark, note
        A key of `MARKS`, and what says it in full.
    by
        What the digits hide.
    signs
        What has to be explained of the text.
    """

    text: str
    mark: str = ""
    note: str = ""
    by: str = ""
    signs: frozenset[Sign] = frozenset()

    @property
    def shown(self) -> str:
        """The mark as shape and words; one that holds against some only says against whom."""
        said = MARKS[self.mark]
        if self.mark in ("better", "worse"):
            said = f"{MARKS[self.mark][0]} {self.note.removesuffix(' beyond chance')}"
        return f"{said} (by {self.by})" if self.by else said

    @property
    def words(self) -> str:
        """The value and its mark on one line."""
        return f"{self.text} {self.shown}" if self.mark else self.text


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: its label, a cell for each column, what it is exactly, and its name in the glossary."""

    label: str
    cells: tuple[Cell, ...]
    about: str = ""
    group: str = ""
    name: str = ""

    @property
    def decided(self) -> bool:
        """Whether any of its values is better or worse than another beyond chance."""
        return any(cell.mark not in ("", "open", "same", "steady", "failing") for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Parameters
    ----------
    name
        Of its files.
    caption
        What it shows.
    header
        Names of its columns, the first one that of the labels.
    rows
        Its lines; those of one ``group`` stand together.
    notes
        How to read it.
    wide
        Whether values are text rather than numbers.
    """

    name: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    wide: bool = False

    @property
    def groups(self) -> list[tuple[str, list[Row]]]:
        """The lines by group, in order."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.group, []).append(row)
        return list(found.items())

    def csv(self) -> bytes:
        """Return the table as CSV, marks as words in columns of their own."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        marked = any(cell.mark for row in self.rows for cell in row.cells)
        heads = [head for name in self.header[1:] for head in ((name, f"{name}: mark") if marked else (name,))]
        writer.writerow(["group", self.header[0], *map(_plain, heads)])
        for row in self.rows:
            cells = [
                text
                for cell in row.cells
                for text in ((cell.text, MARKS[cell.mark][2:] if cell.mark else "") if marked else (cell.text,))
            ]
            writer.writerow([_plain(text) for text in (row.group, row.label, *cells)])
        return out.getvalue().encode()

    def markdown(self) -> bytes:
        """Return the table as Markdown, for pull requests and slides."""
        lines = [f"**{_escaped(self.caption)}**", ""]
        lines.append("| " + " | ".join(_escaped(name) for name in self.header) + " |")
        lines.append("|---" * len(self.header) + "|")
        for row in self.rows:
            label = f"{row.group}: {row.label}" if row.group else row.label
            lines.append(
                "| " + " | ".join(_escaped(text) for text in (label, *(cell.words for cell in row.cells))) + " |"
            )
        lines += ["", *(f"{_escaped(note, 1000)}  " for note in self.notes)]
        return ("\n".join(lines).rstrip() + "\n").encode()


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with what it shows, for those who see it (``caption``) and for those who do not (``alt``)."""

    name: str
    picture: Picture
    caption: str
    alt: str


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page.

    Parameters
    ----------
    key
        Of its template, and its anchor.
    title
        Its heading.
    lead
        Paragraphs in front of everything else.
    tables, figures
        In order.
    tail
        Paragraphs, or lines of a list, behind everything else.
    aside
        Tables too long for the page, which are files only.
    """

    key: str
    title: str
    lead: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    tail: tuple[str, ...] = ()
    aside: tuple[Table, ...] = ()


def _plain(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _escaped(text: str, length: int = 300) -> str:
    """Return text in which Markdown and HTML find nothing to interpret."""
    line = html.escape(short(text, length), quote=False)
    return "".join("\\" + c if c in "\\`*_{}[]()#|~!" else c for c in line)
