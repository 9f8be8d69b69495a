"""The ratios as a picture."""

from __future__ import annotations

from pathlib import Path

from figures import LIMIT, SELF, digits
from workloads import WORKLOADS

from meshsim.report.style import BLACK, BLUE, BODY, GREY, LANDSCAPE, SMALL, picture, render, style

#: Workloads with fewer simulators than this are left to the table.
CROWD = 4


def figure(report):
    """Return a panel for each workload that many can do: a bar for each simulator, on one logarithmic axis."""
    shown = [name for name in report.workloads if sum(line.workload == name for line in report.lines) >= CROWD]
    modules = list(dict.fromkeys(line.module for line in report.lines if line.workload in shown))
    modules.sort(key=lambda module: max(line.ratio for line in report.lines if line.module == module))
    names = [next(line.name for line in report.lines if line.module == module) for module in modules]
    with style():
        drawn = picture(LANDSCAPE, 1.5 + 0.27 * len(modules))
        panels = drawn.subplots(1, len(shown), sharey=True, sharex=True, squeeze=False)[0]
        for axes, name in zip(panels, shown, strict=True):
            _panel(axes, report, name, modules)
        panels[0].set_yticks(range(len(modules)), names)
        for label, module in zip(panels[0].get_yticklabels(), modules, strict=True):
            label.set_fontweight("bold" if module == SELF else "normal")
        drawn.supxlabel("requests per second, as multiples of idiomatic SimPy's (logarithmic scale)", fontsize=BODY)
    return drawn


def _panel(axes, report, name, modules):
    axes.set_xscale("log")
    axes.set_xlim(0.002, 2000)
    axes.set_xticks([0.01, 0.1, 1, 10, 100, 1000], ["0.01", "0.1", "1", "10", "100", "1000"])
    axes.minorticks_off()
    axes.axvline(1, color=BLACK, lw=0.8)
    if (limit := report.get(LIMIT, name)) is not None:
        axes.axvline(limit.ratio, color=BLACK, lw=0.8, ls=(0, (4, 2)), zorder=0)
    for place, module in enumerate(modules):
        _bar(axes, place, report.get(module, name), bold=module == SELF, limit=module == LIMIT)
    axes.set_title(f"{name}\n{WORKLOADS[name].what}" if name in WORKLOADS else name)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)


def _bar(axes, place, line, *, bold, limit):
    beyond, text, colour = True, "cannot", GREY
    if line is not None:
        fill = BLUE if bold else "#9A9A9A" if limit else "#C9C9C9"
        axes.barh(place, line.ratio - 1, left=1, color=fill, height=0.66)
        beyond, colour = line.ratio >= 1, BLACK
        text = digits(line.ratio) + (" (wrong)" if line.right is False else "*" if line.note else "")
    axes.annotate(
        text,
        (1.0 if line is None else line.ratio, place),
        (3 if beyond else -3, 0),
        textcoords="offset points",
        va="center",
        ha="left" if beyond else "right",
        color=colour,
        fontsize=SMALL,
        fontweight="bold" if bold else "normal",
        bbox={"fc": "white", "ec": "none", "pad": 0.8},
    )


def draw(report, target: Path) -> list[Path]:
    """Write the picture as PNG and SVG, and return where."""
    drawn, paths = figure(report), [target.with_suffix(f".{form}") for form in ("png", "svg")]
    for path in paths:
        path.write_bytes(render(drawn, path.suffix[1:]))
    return paths
