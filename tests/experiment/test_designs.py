"""What varies, and which points are looked at."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from meshsim.errors import ScenarioError
from meshsim.experiment.designs import Axis, axes, axis, number, points


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("x=1,2,4", ("1", "2", "4")),
        ("x=0.5..2.0/4", ("0.5", "1", "1.5", "2")),
        ("x=1..100/3/log", ("1", "10", "100")),
        ("x=100/s..400/s/4", ("100/s", "200/s", "300/s", "400/s")),
        ("x=100..400/s/2", ("100/s", "400/s")),
        ("x=10ms..20ms/3", ("10ms", "15ms", "20ms")),
        ("x=-1..1/3", ("-1", "0", "1")),
        ("x=0.00001..0.00003/3", ("0.00001", "0.00002", "0.00003")),
        ("x={a: 1, b: 2},{a: 3}", ("{a: 1, b: 2}", "{a: 3}")),
        ('x="a,b",c', ('"a,b"', "c")),
    ],
)
def test_values_are_read_as_they_are_written(said: str, values: tuple[str, ...]) -> None:
    assert axis(said).texts() == values


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("x=1..", r"'1\.\.' is no range; write low\.\.high/count"),
        ("x=2..1/3", "is empty: its low end is not below its high end"),
        ("x=0..1/3/log", "has no logarithms: its low end is not above 0"),
        ("x=1..2/1", "has 1 values; give 2 or more"),
        ("x=1ms..2s/2", "has two units; write both ends in the same"),
        ("x=1,,2", "a value of '1,,2' is missing"),
        ("x=1,1", "has 1 twice"),
        ("x", "'x' is no variation"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_fix(said: str, problem: str) -> None:
    with pytest.raises(ScenarioError, match=problem):
        axis(said)


def test_every_variation_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ScenarioError) as error:
        axes(["a=1..", "b=1,1", "c=1,2", "c=3,4"])
    assert len(error.value.problems) == 3


def test_a_field_that_takes_whole_numbers_gets_whole_numbers() -> None:
    assert Axis("x", low=1, high=4, count=7, whole=True).texts() == ("1", "2", "3", "4")


def test_numbers_have_units() -> None:
    assert (number("250ms"), number("hybrid"), number("1e3")) == ((250.0, "ms"), None, (1000.0, ""))


def test_a_grid_is_every_combination_and_a_list_goes_side_by_side() -> None:
    varied = axes(["a=1,2", "b=x,y"])
    assert points("grid", varied)[0] == [("1", "x"), ("1", "y"), ("2", "x"), ("2", "y")]
    assert points("list", varied)[0] == [("1", "x"), ("2", "y")]


def test_a_list_of_unequal_lengths_is_a_mistake() -> None:
    with pytest.raises(ScenarioError, match="lists of the same length, not of 2 and 3"):
        points("list", axes(["a=1,2", "b=x,y,z"]))


@pytest.mark.parametrize("design", ["random", "sobol", "lhs"])
def test_drawn_points_lie_in_their_ranges_and_are_the_same_for_the_same_seed(design: str) -> None:
    varied = axes(["a=1..2", "b=10..1000/log", "c=x,y,z"])
    found, _ = points(design, varied, 32, seed=7)
    assert found == points(design, varied, 32, seed=7)[0]
    assert found != points(design, varied, 32, seed=8)[0]
    assert all(1 <= float(a) <= 2 and 10 <= float(b) <= 1000 and c in "xyz" for a, b, c in found)
    assert sum(float(b) < 100 for _, b, _ in found) in range(10, 23)  # half of them, on a logarithmic scale


@pytest.mark.parametrize("design", ["random", "sobol", "lhs"])
def test_a_number_of_values_is_a_mistake_where_points_are_drawn(design: str) -> None:
    with pytest.raises(ScenarioError) as error:
        points(design, axes(["a=1..2", "b=10..1000/7/log"]), 32)
    assert str(error.value) == (
        f"--vary: b: /7 would have no effect: the design {design} draws as many points as --points says; "
        "write b=low..high/log"
    )


@pytest.mark.parametrize("design", ["sobol", "lhs"])
def test_even_designs_are_more_even_than_random_ones(design: str) -> None:
    varied = axes(["a=0..1", "b=0..1"])
    even, random = (np.array(points(name, varied, 64, seed=3)[0], dtype=float) for name in (design, "random"))
    assert qmc.discrepancy(even) < qmc.discrepancy(random) / 2


def test_a_latin_hypercube_has_one_point_in_each_row_and_column() -> None:
    found = np.array(points("lhs", axes(["a=0..1", "b=0..1"]), 10, seed=1)[0], dtype=float)
    assert [sorted((10 * column).astype(int)) for column in found.T] == [list(range(10))] * 2


def test_a_sobol_sequence_of_an_odd_length_says_what_would_be_more_even() -> None:
    found, note = points("sobol", axes(["a=0..1"]), 12)
    assert len(found) == 12
    assert note == "12 points of a Sobol' sequence are less even than 8 or twice that"
    assert not points("sobol", axes(["a=0..1"]), 16)[1]


@pytest.mark.parametrize(
    ("design", "vary", "count", "problem"),
    [
        ("gird", "a=1,2", None, "unknown design 'gird'; did you mean 'grid'?"),
        ("grid", "a=1..2", None, "a: has no number of values"),
        ("grid", "a=1,2", 5, "--points: is for the designs random, sobol and lhs, not for grid"),
        ("lhs", "a=1..2", None, "--points: is missing; the design lhs needs to know how many"),
        ("lhs", "a=1..2", 0, "--points: 0 is too few"),
    ],
)
def test_a_design_that_does_not_go_with_what_varies_is_a_mistake(
    design: str, vary: str, count: int | None, problem: str
) -> None:
    with pytest.raises(ScenarioError, match=problem):
        points(design, axes([vary]), count)
