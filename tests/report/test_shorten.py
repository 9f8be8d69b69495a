from __future__ import annotations

from meshsim.report.shorten import listed, short


def test_control_characters_and_line_breaks_leave_one_line():
    assert short("a\n\tb\x1b[31mc") == "a b [31mc"


def test_the_length_holds_with_the_ellipsis():
    assert len(short("x" * 100, 12)) == 12


def test_lists_read_like_a_sentence():
    assert [listed([]), listed(["a"]), listed(["a", "b"])] == ["", "a", "a and b"]
