"""Durations, rates, sizes and fractions: what people write, what is refused, and exact round trips."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshsim.units import (
    MAX_DURATION,
    MAX_MEMORY,
    MAX_RATE,
    MAX_SIZE,
    format_duration,
    leading_zero,
    parse_cores,
    parse_duration,
    parse_fraction,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("250ms", 0.25),
        ("1m30s", 90),
        ("1h2m3s4ms", 3723.004),
        ("82us", 8.2e-5),
        ("82\u00b5s", 8.2e-5),
        ("82\u03bcs", 8.2e-5),
        ("3ns", 3e-9),
        ("1.5d", 129_600),
        ("1e-3s", 0.001),
        (" 5s ", 5),
    ],
)
def test_a_duration_is_the_nearest_float(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (5, "5 has no unit; write 5s or 5ms"),
        ("5", "'5' is not a duration; write 5s or 5ms"),
        ("", "'' is not a duration; write it like 250ms, 10s or 1m30s"),
        ("5 s", "'5 s' is not a duration; write it like 250ms, 10s or 1m30s"),
        ("five", "'five' is not a duration; write it like 250ms, 10s or 1m30s"),
        ("-5s", "'-5s' is negative; a duration is 0s or more"),
        ("1e999s", "'1e999s' is too large; a duration is at most 3.2e9s (100 years)"),
        ("1e308s1e308s", "'1e308s1e308s' is too large; a duration is at most 3.2e9s (100 years)"),
        ("40000d", "'40000d' is too large; a duration is at most 3.2e9s (100 years)"),
        ("\u0665s", "'\u0665s' is not a duration; write it like 250ms, 10s or 1m30s"),
        (None, "nothing is not a duration; write it like 250ms, 10s or 1m30s"),
        (True, "true is not a duration; write it like 250ms, 10s or 1m30s"),
        ([], "a list is not a duration; write it like 250ms, 10s or 1m30s"),
        ({}, "a mapping is not a duration; write it like 250ms, 10s or 1m30s"),
        ("9" * 1_000_000, "'" + "9" * 56 + "... is not a duration; write it like 250ms, 10s or 1m30s"),
    ],
)
def test_what_is_no_duration_is_told_the_way_out(text, message):
    with pytest.raises(ValueError) as caught:
        parse_duration(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (0.0002, "200us"),
        (8.2e-5, "82us"),
        (1e-9, "1ns"),
        (1e-10, "1e-10s"),
        (1.5, "1.5s"),
        (59.0, "59s"),
        (60, "1m"),
        (90.5, "90.5s"),
        (86_400, "24h"),
        (90_061, "25h1m1s"),
    ],
)
def test_a_duration_is_shown_in_the_unit_that_fits(seconds, text):
    assert format_duration(seconds) == text


@given(st.floats(0, MAX_DURATION))
def test_a_duration_shown_is_read_back_to_the_last_bit(seconds):
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "rate"), [("200/s", 200), ("6/min", 0.1), ("2 / ms", 2000), ("36e2/h", 1), ("0/s", 0)]
)
def test_a_rate_is_per_second(text, rate):
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (200, "200 has no unit; write 200/s"),
        ("200", "'200' is not a rate; write it like 200/s or 6/min"),
        ("200/w", "'200/w' is not a rate; write it like 200/s or 6/min"),
        ("-1/s", "'-1/s' is negative; a rate is 0/s or more"),
        ("1e999/s", "'1e999/s' is too large; a rate is at most 1e9/s"),
        ("1000001/ms", "'1000001/ms' is too large; a rate is at most 1e9/s"),
        (False, "false is not a rate; write it like 200/s or 6/min"),
    ],
)
def test_what_is_no_rate_is_told_the_way_out(text, message):
    with pytest.raises(ValueError) as caught:
        parse_rate(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "size"),
    [("500B", 500), ("2KB", 2000), ("2kB", 2000), ("1.5 MiB", 1_572_864), (0, 0), ("128Mi", 2**27), ("1M", 10**6)],
)
def test_a_size_is_bytes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "cores"), [("100m", 0.1), ("1.5", 1.5), (1.5, 1.5), (2, 2.0), ("0", 0.0), ("1e3m", 1.0), (1024, 1024.0)]
)
def test_cpu_is_cores_as_kubernetes_writes_them(text, cores):
    assert parse_cores(text) == cores


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("100M", "'100M' is no amount of CPU; write it like 500m or 0.5"),
        ("100 m", "'100 m' is no amount of CPU; write it like 500m or 0.5"),
        ("-100m", "'-100m' is negative; an amount of CPU is 0 or more cores"),
        (-1, "-1 is negative; an amount of CPU is 0 or more cores"),
        (1025, "1025 is too large; at most 1024 cores"),
        ("1e400m", "'1e400m' is too large; at most 1024 cores"),
        (float("nan"), "nan is too large; at most 1024 cores"),
        (10**400, "1" + "0" * 56 + "... is too large; at most 1024 cores"),
        (True, "true is no amount of CPU; write it like 500m or 0.5"),
        ([1], "a list is no amount of CPU; write it like 500m or 0.5"),
    ],
)
def test_what_is_no_cpu_is_told_the_way_out(text, message):
    with pytest.raises(ValueError) as caught:
        parse_cores(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (-1, "-1 is negative; a size is 0 or more bytes"),
        ("-1KB", "'-1KB' is negative; a size is 0 or more bytes"),
        (1.5, "1.5 is not a size; write it like 500B, 2KB or 1MiB"),
        ("1Kb", "'1Kb' is not a size; write it like 500B, 2KB or 1MiB"),
        ("1e999GB", "'1e999GB' is too large; a size is at most 1GiB"),
        ("2GiB", "'2GiB' is too large; a size is at most 1GiB"),
        (2**30 + 1, "1073741825 is too large; a size is at most 1GiB"),
        (10**400, "1" + "0" * 56 + "... is too large; a size is at most 1GiB"),
        (True, "true is not a size; write it like 500B, 2KB or 1MiB"),
    ],
)
def test_what_is_no_size_is_told_the_way_out(text, message):
    with pytest.raises(ValueError) as caught:
        parse_size(text)
    assert str(caught.value) == message


def test_memory_may_be_larger_than_a_message():
    assert parse_size("2GiB", MAX_MEMORY) == 2**31
    with pytest.raises(ValueError, match="a size is at most 1024GiB"):
        parse_size("2000GB", MAX_MEMORY)


def test_the_largest_values_are_still_read():
    assert parse_duration("3.2e9s") == MAX_DURATION
    assert parse_rate("1e9/s") == parse_rate("1e6/ms") == MAX_RATE
    assert parse_size("1GiB") == parse_size(2**30) == MAX_SIZE


def test_a_sum_of_the_longest_durations_can_still_be_shown():
    assert format_duration(2 * MAX_DURATION) == "1777777h46m40s"
    assert format_duration(MAX_DURATION + 0.5) == "3200000000.5s"


@pytest.mark.parametrize(("text", "fraction"), [("20%", 0.2), ("0.5 %", 0.005), (0, 0), (1, 1), (0.25, 0.25)])
def test_a_fraction_is_between_zero_and_one(text, fraction):
    assert parse_fraction(text) == fraction


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (2, "2 is not between 0 and 1 (0% and 100%)"),
        ("200%", "200% is not between 0 and 1 (0% and 100%)"),
        (-0.1, "-0.1 is not between 0 and 1 (0% and 100%)"),
        (math.nan, "nan is not between 0 and 1 (0% and 100%)"),
        ("0.2", "'0.2' is not a fraction; write it like 20% or 0.2"),
        ("-5%", "'-5%' is not a fraction; write it like 20% or 0.2"),
        (True, "true is not a fraction; write it like 20% or 0.2"),
    ],
)
def test_what_is_no_fraction_is_told_the_way_out(text, message):
    with pytest.raises(ValueError) as caught:
        parse_fraction(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "written"),
    [("010", "8 or 10"), ("-0017", "-15 or -17"), ("02", "2"), ("089", "89"), ("00.5", "0.5"), ("00", "0")],
)
def test_a_number_with_a_leading_zero_may_mean_two(text, written):
    assert leading_zero(text).endswith(f"; write {written}")


@pytest.mark.parametrize("text", ["0", "0.5", "10", "0x1f", "0o17", "01:30", "0s", "", 10, None, "0" * 200])
def test_other_texts_have_no_leading_zero(text):
    assert leading_zero(text) == ""
