"""A decision as files: the text, the data, the picture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from meshsim.report.decision import plain, to_json
from meshsim.results.files import put_all

if TYPE_CHECKING:
    from pathlib import Path

    from meshsim.analysis.decision import Decision


def write(decision: Decision, folder: Path) -> list[Path]:
    """Write ``decision.txt``, ``.json``, ``.png`` and ``.svg`` into a folder, which is created; return the files.

    Raises
    ------
    ResultsError
        If the disk refuses.
    """
    from meshsim.report.decision_picture import picture
    from meshsim.report.style import render

    figure = picture(decision).figure
    contents = {
        "decision.txt": plain(decision).encode(),
        "decision.json": (json.dumps(to_json(decision), indent=2, ensure_ascii=False) + "\n").encode(),
        "decision.png": render(figure, "png"),
        "decision.svg": render(figure, "svg"),
    }
    return put_all(folder, contents.items(), "write a decision")
