from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshsim.report.numbers import NOTHING, duration, quantity


@pytest.mark.parametrize(
    ("unit", "mean", "half_width", "text"),
    [
        ("fraction", 0.9993, math.nan, "99.93 %"),
        ("fraction", 0.9993, 0.0004, "99.93 ± 0.04 %"),
        ("fraction", 1.0, 0.0, "100 %"),
        ("fraction", 0.0, 0.0, "0 %"),
        ("fraction", 0.9999999, 1e-9, "99.999990 ± 0.000001 %"),
        ("seconds", 0.0123, math.nan, "12.3 ms"),
        ("seconds", 0.0123, 0.0014, "12.3 ± 1.4 ms"),
        ("seconds", 250.0, math.nan, "4m10s"),
        ("seconds", 250.0, 12.0, "4m10s ± 12s"),
        ("seconds", 41.0, 76.0, "41s ± 1m16s"),
        ("seconds", 0.0, 0.002, "0 ± 2 ms"),
        ("bytes", 1.21e9, math.nan, "1.21 GB"),
        ("bytes", 12_345_678, 100_000, "12.35 ± 0.10 MB"),
        ("count", 12.0, 0.0, "12"),
        ("count", 123_456.0, 0.3, "123,456 ± 1"),
        ("seconds", 250.0, 0.0, "4m10s"),
        ("count", 12345.6, 120.0, "12,346 ± 120"),
        ("proxy-seconds", 1234.3, 33.0, "1,234 ± 33 proxy-seconds"),
        ("count", math.nan, math.nan, NOTHING),
    ],
)
def test_numbers_are_written_as_people_read_them(unit, mean, half_width, text):
    assert quantity(unit, mean, half_width) == text


@pytest.mark.parametrize("mean", [0.999996, 0.99999996, 0.0000004])
def test_almost_all_and_almost_nothing_are_never_rounded_to_all_or_nothing(mean):
    assert quantity("fraction", mean).split()[0].rstrip("0") not in {"100.", "100", "0.", "0", ""}


def test_an_interval_that_begins_with_1_or_2_keeps_a_second_digit():
    assert quantity("count", 10.0, 0.14) == "10.00 ± 0.14"
    assert quantity("count", 10.0, 0.34) == "10.0 ± 0.3"


def test_durations_from_microseconds_to_days():
    assert [duration(s) for s in (5e-6, 0.0123, 2.0, 59.0, 60.0, 3661.0, 90_000.0)] == [
        "5 µs",
        "12.3 ms",
        "2 s",
        "59 s",
        "1m",
        "1h1m1s",
        "1d1h",
    ]


@given(
    st.sampled_from(["fraction", "seconds", "bytes", "count", "pod-seconds"]),
    st.floats(),
    st.floats().map(abs),
)
def test_no_number_is_too_odd_to_write(unit, mean, half_width):
    assert quantity(unit, mean, half_width)
