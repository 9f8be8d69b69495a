from __future__ import annotations

import pytest

from meshsim.scenario.istio.fields import (
    ANY,
    BOOL,
    COUNT,
    DURATION,
    DURATION_OR_ZERO,
    LABELS,
    NO_EFFECT,
    PERCENT,
    PERCENTAGE,
    STRING,
    STRINGS,
    Check,
    enum,
    list_of,
    map_of,
    table,
)

TABLE = table(
    {
        "host!": STRING.inert(),
        "pool": table({"size": COUNT.to("size"), "idle": DURATION}).to("pool"),
        "tls": table({"mode": enum("OFF", "ON"), "sni": STRING}).unless({"mode": "ON"}),
        "pairs": list_of(table({"from": STRING})).to("pairs"),
        "kept": STRINGS.kept("kept"),
        "old": COUNT.unused("is gone"),
        "ports": map_of(table({"mode": enum("A", "B")})),
        "free": ANY,
    }
)


def check(**fields):
    return Check(TABLE).run({"host": "cart", **fields})


def test_modelled_fields_become_settings_with_their_path():
    found = check(pool={"size": 3}, pairs=[{"from": "a"}]).settings
    assert [(s.name, s.value, s.path) for s in found] == [
        ("size", 3, ("pool", "size")),
        ("pool", {"size": 3}, ("pool",)),
        ("pairs", [{"from": "a"}], ("pairs",)),
    ]


def test_what_is_not_modelled_is_named_once_by_its_topmost_field():
    result = check(tls={"mode": "OFF", "sni": "x"}, ports={8080: {"mode": "A"}}, old=1, free={"deep": [1]})
    assert result.unmodelled == [
        (("tls",), NO_EFFECT),
        (("ports",), NO_EFFECT),
        (("old",), "is gone"),
        (("free",), NO_EFFECT),
    ]


def test_a_field_below_a_modelled_block_is_named_itself():
    assert check(pool={"size": 1, "idle": "1s"}).unmodelled == [(("pool", "idle"), NO_EFFECT)]


def test_a_field_may_be_kept_and_still_be_named():
    result = check(kept=["a"])
    assert result.unmodelled == [(("kept",), NO_EFFECT)]
    assert [(s.name, s.value) for s in result.settings] == [("kept", ["a"])]


def test_values_that_are_as_good_as_nothing_need_no_warning():
    result = check(tls={"mode": "ON"}, kept=[], pool=None, free=None)
    assert result.unmodelled == []


def test_parts_without_effect_are_checked_all_the_same():
    assert check(tls={"mode": "on?"}, ports={8080: {"mode": "C"}}).problems == [
        (("tls", "mode"), "'on?' is not a value of this field; did you mean 'ON'? (one of OFF, ON)"),
        (("ports", 8080, "mode"), "'C' is not a value of this field (one of A, B)"),
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pol": {}}, "unknown field 'pol'; did you mean 'pool'?"),
        ({"pool": {"Size": 1}}, "unknown field 'Size'; did you mean 'size'?"),
        ({"size": 1}, "unknown field 'size'; it belongs under pool"),
        ({"xyz": 1}, "unknown field 'xyz' (one of free, host, kept, old, pairs, pool, ports, tls)"),
        ({5: 1}, "unknown field '5' (one of"),
    ],
)
def test_unknown_fields_are_errors_with_a_hint(fields, message):
    ((_, found),) = Check(TABLE).run({"host": "cart", **fields}).problems
    assert found.startswith(message)


def test_all_problems_are_found_at_once():
    result = Check(TABLE).run({"pool": {"size": -1, "idle": "1x", "what": 1}, "pairs": 3})
    assert [path for path, _ in result.problems] == [
        ("pool", "size"),
        ("pool", "idle"),
        ("pool", "what"),
        ("pairs",),
        (),
    ]
    assert result.problems[-1] == ((), "host is required")


def test_a_required_field_that_is_null_is_missing():
    assert Check(TABLE).run({"host": None}).problems == [((), "host is required")]


def test_a_wrong_value_becomes_no_setting():
    assert check(pool={"size": "3"}).settings == []


def test_a_check_of_the_whole_runs_only_when_its_parts_are_right():
    kind = table(
        {"pair": table({"a": COUNT, "b": COUNT}).checked(lambda pair: "a is b" if pair["a"] == pair["b"] else "")}
    )
    assert Check(kind).run({"pair": {"a": 1, "b": 1}}).problems == [(("pair",), "a is b")]
    assert Check(kind).run({"pair": {"a": "x", "b": 1}}).problems[0][0] == ("pair", "a")


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (STRING, 1, "1 is not text; write it in quotes: '1'"),
        (STRING, True, "true is not text; write it in quotes: 'true'"),
        (STRING, ["a"], "a list is not text"),
        (BOOL, "true", "'true' is not true or false"),
        (BOOL, 1, "1 is not true or false"),
        (COUNT, "5", "'5' is not a whole number; write 5 without quotes"),
        (COUNT, "010", "010 has a leading 0, and is octal to some and decimal to others; write 8 or 10"),
        (COUNT, "02", "02 has a leading 0, and is octal to some and decimal to others; write 2"),
        (PERCENTAGE, "08", "08 has a leading 0, and is octal to some and decimal to others; write 8"),
        (COUNT, 1.5, "1.5 is not a whole number"),
        (COUNT, True, "true is not a whole number"),
        (COUNT, -1, "-1 is not between 0 and 4294967295"),
        (COUNT, 2**32, "4294967296 is not between 0 and 4294967295"),
        (PERCENT, 101, "101 is not between 0 and 100"),
        (PERCENTAGE, 100.5, "100.5 is not between 0 and 100"),
        (PERCENTAGE, "10", "'10' is not a number"),
        (DURATION, 10, "10 has no unit; write 10s or 10ms"),
        (DURATION, "1x", "'1x' is not a duration; write it like 250ms, 10s or 1m30s"),
        (DURATION, "1d", "'1d' is no duration to Istio, which has no days; write 24h"),
        (DURATION, "0s", "0s is shorter than 1ms, the shortest that Istio takes"),
        (DURATION, "500us", "500us is shorter than 1ms, the shortest that Istio takes"),
        (DURATION, "-1s", "'-1s' is negative; a duration is 0s or more"),
        (DURATION_OR_ZERO, {}, "a mapping is not a duration; write it like 250ms, 10s or 1m30s"),
        (LABELS, {"a": 1}, "1 is not text; write it in quotes: '1'"),
        (LABELS, ["a"], "a list is not a mapping"),
        (STRINGS, "a", "'a' is not a list"),
        (STRINGS, ["a", None], "nothing (null) is not text"),
    ],
)
def test_wrong_values_are_refused_with_the_fix(kind, value, message):
    assert Check(table({"field": kind})).run({"field": value}).problems[0][1] == message


@pytest.mark.parametrize(
    ("text", "seconds"),
    # as found in public files: users-and-data.md §2
    [
        ("10m", 600),
        ("0.5s", 0.5),
        ("100ms", 0.1),
        ("5.000s", 5),
        ("0.030s", 0.03),
        ("1h30m", 5400),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_durations_are_read_as_go_writes_them(text, seconds):
    assert DURATION_OR_ZERO.convert(text) == pytest.approx(seconds)
