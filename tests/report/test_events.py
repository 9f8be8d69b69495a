from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from meshsim.report import style
from meshsim.report.events import draw_lanes, pack, rule, shade, text_width
from meshsim.report.timing import Span

WIDTH, END = 460.0, 300.0
_SPANS = st.lists(
    st.builds(
        lambda name, start, length: Span(name, start, None if length is None else start + length),
        st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=60),
        st.floats(0, END),
        st.none() | st.floats(0.5, 2 * END),
    ),
    max_size=12,
)


def _extent(placed):
    """Return what a placed span covers: its bar and its label, seconds."""
    length = text_width(placed.label, style.SMALL) * END / WIDTH
    left = placed.x if placed.align == "left" else placed.x - length
    end = placed.span.start if placed.span.end is None else min(placed.span.end, END)
    return min(left, placed.span.start), max(left + length, end)


@given(_SPANS)
def test_no_label_or_bar_of_a_lane_meets_another(found):
    placed = pack(sorted(found, key=lambda span: span.start), END, WIDTH)
    for one, other in itertools.combinations(placed, 2):
        if one.lane == other.lane:
            (_, right), (left, _) = sorted((_extent(one), _extent(other)))
            assert right <= left


def test_a_label_is_inside_a_long_bar_beside_a_short_one_and_before_one_at_the_edge():
    long, short, late = pack([Span("name", 0, 200), Span("name", 210, 212), Span("name", 295, 300)], END, WIDTH)
    assert 0 < long.x < 200
    assert short.x > 212
    assert (late.align, late.x < 295) == ("right", True)


def test_what_overlaps_is_stacked():
    assert [p.lane for p in pack([Span("a", 0, 50), Span("b", 10, 60), Span("c", 20, 70)], END, WIDTH)] == [0, 1, 2]


def test_shades_and_rules_are_named_after_what_happens():
    axes = style.picture(4, 2).subplots()
    shade(axes, [Span("lost", 10, 20), Span("rollout", 30, None)], 5.0)
    assert [patch.get_gid() for patch in axes.patches] == ["warm-up", "event lost"]
    assert [line.get_gid() for line in axes.lines] == ["event rollout"]


def test_rules_stand_where_something_starts_and_ends():
    axes = style.picture(4, 2).subplots()
    rule(axes, [Span("lost", 10, 20)], 5.0)
    assert [line.get_xdata()[0] for line in axes.lines] == [5.0, 10, 20]


def test_every_lane_is_drawn_with_its_name():
    axes = style.picture(4, 2).subplots()
    axes.set_xlim(0, END)
    draw_lanes(axes, pack([Span("lost", 10, 20), Span("$x_1$", 15, None)], END, WIDTH), 30.0)
    assert [text.get_text() for text in axes.texts] == ["lost", "$x_1$"]


_FLAPPING = Span("flaps, 3 times", 10, 70, ((10, 20), (35, 45), (60, 70)))


def test_what_happens_several_times_is_one_pale_bar_with_a_strip_for_each():
    axes = style.picture(4, 2).subplots()
    axes.set_xlim(0, END)
    draw_lanes(axes, pack([_FLAPPING], END, WIDTH), 0.0)
    whole, *strips = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert whole == (10, 60)
    assert strips == [(10, 10), (35, 10), (60, 10)]
    assert [text.get_text() for text in axes.texts] == ["flaps, 3 times"]


def test_each_time_is_shaded_and_ruled():
    axes = style.picture(4, 2).subplots()
    shade(axes, [_FLAPPING], 0.0)
    assert len(axes.patches) == 3
    rule(axes, [_FLAPPING], 0.0)
    assert [line.get_xdata()[0] for line in axes.lines] == [10, 20, 35, 45, 60, 70]


def test_many_times_are_ruled_where_the_first_starts_and_the_last_ends():
    axes = style.picture(4, 2).subplots()
    rule(axes, [Span("flaps", 10, 95, tuple((10.0 * n, 10.0 * n + 5) for n in range(1, 10)))], 0.0)
    assert [line.get_xdata()[0] for line in axes.lines] == [10, 95]


def test_repetitions_without_an_end_are_marks():
    axes = style.picture(4, 2).subplots()
    axes.set_xlim(0, END)
    draw_lanes(axes, pack([Span("rollout, 2 times", 10, None, ((10, None), (50, None)))], END, WIDTH), 0.0)
    assert [line.get_xdata()[0] for line in axes.lines] == [10, 50]
