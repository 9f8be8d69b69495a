"""Problems read as file, line, path and message; the nearest right word is offered."""

from __future__ import annotations

import pickle

import pytest

from meshsim.errors import MeshsimError, Problem, ResultsError, ScenarioError, SimulationError, did_you_mean


@pytest.mark.parametrize(
    ("problem", "shown"),
    [
        (Problem("is wrong", "a.b", "f.yaml", 3), "f.yaml:3: a.b: is wrong"),
        (Problem("is wrong", "a.b", "--set"), "--set: a.b: is wrong"),
        (Problem("is wrong", "", "f.yaml"), "f.yaml: is wrong"),
        (Problem("is wrong", "a.b"), "a.b: is wrong"),
        (Problem("is wrong"), "is wrong"),
    ],
)
def test_a_problem_is_one_line(problem, shown):
    assert str(problem) == shown


def test_an_error_shows_all_problems_in_order():
    error = ScenarioError([Problem("one"), Problem("two")])
    assert str(error) == "one\ntwo"
    assert [problem.message for problem in error.problems] == ["one", "two"]


def test_an_error_survives_the_way_from_another_process():
    error = ScenarioError([Problem("one", "a", "f", 1), Problem("two")])
    again = pickle.loads(pickle.dumps(error))
    assert (again.problems, str(again)) == (error.problems, str(error))


@pytest.mark.parametrize("kind", [ScenarioError, ResultsError, SimulationError])
def test_every_error_is_one_of_meshsims(kind):
    assert issubclass(kind, MeshsimError)


@pytest.mark.parametrize(
    ("word", "choices", "told"),
    [
        ("crt", ["cart", "web"], "; did you mean 'cart'? (one of cart, web)"),
        ("xyz", ["cart", "web"], " (one of cart, web)"),
        ("cart", [], ""),
        ("x", ["b", "a", "b"], " (one of a, b)"),
        ("x", [f"n{i:02}" for i in range(20)], " (one of " + ", ".join(f"n{i:02}" for i in range(12)) + ", … 8 more)"),
    ],
)
def test_the_nearest_word_is_offered(word, choices, told):
    assert did_you_mean(word, choices) == told
