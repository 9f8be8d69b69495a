"""The page as HTML: one template a section, everything from a scenario escaped, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from meshsim import __version__
from meshsim.report.page.parts import Figure, Section
from meshsim.report.page.sections.answer import Sentence
from meshsim.report.style import PNG_DPI, render

if TYPE_CHECKING:
    from jinja2 import Environment

#: Bytes up to which a picture stands in the page as SVG, which stays sharp; larger ones stand there as PNG.
_SHARP = 120_000
#: CSS pixels per inch.
_PIXELS = 96


@dataclass(frozen=True, slots=True)
class Drawn(Figure):
    """A picture as it stands in the page, and the bytes of its files."""

    png: bytes
    svg: bytes

    @property
    def width(self) -> int:
        """In CSS pixels."""
        return round(_PIXELS * self.picture.get_figwidth())

    @property
    def height(self) -> int:
        """In CSS pixels."""
        return round(_PIXELS * self.picture.get_figheight())

    @property
    def source(self) -> str:
        """The picture itself; inside an image no script of it could run, and its names meet no others."""
        kind, content = ("svg+xml", self.svg) if len(self.svg) <= _SHARP else ("png", self.png)
        return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@dataclass(frozen=True, slots=True)
class Ready(Section):
    """A section whose pictures are drawn."""

    figures: tuple[Drawn, ...] = ()


def drawn(section: Section) -> Ready:
    """Return a section with its pictures drawn."""
    figures = tuple(
        Drawn(
            found.name, found.picture, found.caption, found.alt,
            _small(render(found.picture, "png")), render(found.picture, "svg"),
        )
        for found in section.figures
    )  # fmt: skip
    return Ready(section.key, section.title, section.lead, section.tables, figures, section.tail, section.aside)


def _small(png: bytes) -> bytes:
    """Return a picture in 256 colours: ours have few, so that nothing is lost but two thirds of the bytes."""
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        few = image.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(out, "png", optimize=True, dpi=(PNG_DPI, PNG_DPI))
    return out.getvalue()


def page(sections: Sequence[Ready], sentences: Sequence[Sentence], words: Mapping[str, str]) -> str:
    """Return the page.

    Parameters
    ----------
    sections
        In order.
    sentences
        The answer.
    words
        ``title``, ``question`` and ``run``, the name of what it was made from.
    """
    environment = _environment()
    script, style = (_raw(name) for name in ("page.js", "page.css"))
    return environment.get_template("page.html").render(
        sections=sections, sentences=sentences, style=style, script=script, version=__version__,
        script_hash=base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode(), **words,
    )  # fmt: skip


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("meshsim.report.page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


def _raw(name: str) -> Any:
    """Return a file of ours as it is: it holds nothing from a scenario."""
    from markupsafe import Markup

    return Markup(files("meshsim.report.page").joinpath("templates", name).read_text(encoding="utf-8"))  # noqa: S704
