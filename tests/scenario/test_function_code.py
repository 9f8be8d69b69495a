from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial
from types import SimpleNamespace

import numba
import numpy as np
import pytest

from meshsim.scenario.function_code import digest, draws

PLAIN = "def choose(active, u1):\n    return int(u1 * len(active))"
HELPED = "def helper(u, n):\n    return int(u * n)\ndef choose(active, u1):\n    return helper(u1, len(active))"
#: Where a function can use a value: ``{}`` is an expression of it.
PLACES = [
    "def choose(active):\n    return {}",
    "def choose(active):\n    return sum([{} * a for a in active])",
    "def choose(active):\n    return [[{} for _ in active] for _ in active]",
    "def choose(active):\n    def inner(a):\n        return {} * a\n    return inner(active[0])",
    "def choose(active):\n    return (lambda a: {} * a)(active[0])",
    "def choose(active, k=(lambda: {})):\n    return k()",
    "def helper():\n    return [{} for _ in range(1)]\ndef choose(active):\n    return helper()[0]",
    "def outer(k):\n    def choose(active):\n        return [k for _ in active]\n    return choose\nchoose = outer({})",
]


def function(source, **known):
    names = {"__name__": "a_script", **known}
    exec(source, names)
    return names["choose"]


def hash_of(source, **known):
    return digest(function(source, **known))


# --- what the hash tells apart --------------------------------------------------------------------------------------


@pytest.mark.parametrize("same", [f"# a comment\n\n\n{PLAIN}", PLAIN.replace("\n", "\n\n    # why\n")])
def test_comments_and_lines_do_not_count(same):
    assert hash_of(same) == hash_of(PLAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PLAIN, PLAIN.replace("* len", "** len")),
        (PLAIN, PLAIN.replace("u1", "u2")),
        (PLAIN.replace("active)", "active) * 1"), PLAIN.replace("active)", "active) * 2")),
        (HELPED, HELPED.replace("u * n", "u * n / 2")),
        (PLAIN.replace("active, u1", "active, u1=1"), PLAIN.replace("active, u1", "active, u1=2")),
    ],
)
def test_what_it_does_counts_and_what_functions_that_it_calls_do(one, other):
    assert hash_of(one) != hash_of(other)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("expression", "one", "other"),
    [("K", 1, 2), ("M.K", SimpleNamespace(K=1), SimpleNamespace(K=2)), ("K", {"a": (1,)}, {"a": (2,)})],
)
def test_values_count_wherever_they_are_used(place, expression, one, other):
    name = expression[0]
    first, second, again = (hash_of(place.format(expression), **{name: value}) for value in (one, other, one))
    assert first != second
    assert first == again


def test_values_of_a_module_count(monkeypatch):
    source = "import math\ndef choose(active):\n    return [math.tau * a for a in active]"
    before = hash_of(source)
    monkeypatch.setattr("math.tau", 6.0)
    assert hash_of(source) != before


@pytest.mark.parametrize(
    ("one", "other"), [([1, 1], [2, 1]), ([[1, 1]], [[1], [1]]), ([1, 0], np.array([1, 0]).view(np.uint64))]
)
def test_numbers_of_arrays_count_and_so_do_their_shape_and_type(one, other):
    source = "def choose(active):\n    return K"
    assert hash_of(source, K=np.array(one)) != hash_of(source, K=np.array(other))
    assert hash_of(source, K=np.array(one)) == hash_of(source, K=np.array(one))


@pytest.mark.parametrize("compiler", [numba.njit, numba.vectorize], ids=["njit", "vectorize"])
def test_compiled_functions_that_it_calls_count(compiler):
    found = {hash_of(HELPED, compiler=compiler) for _ in range(2)}
    for add in (1, 2):
        source = f"@compiler\ndef helper(a):\n    return a + {add}\ndef choose(active):\n    return helper(active)"
        found.add(hash_of(source, compiler=compiler))
    assert len(found) == 3


def test_functions_in_a_tuple_count():
    source = "def one(a):\n    return a + {}\nEACH = (one, len)\ndef choose(active):\n    return EACH[0](active)"
    assert hash_of(source.format(1)) != hash_of(source.format(2))


def test_variables_of_its_own_are_not_taken_for_others_of_the_same_name():
    source = "def choose(active):\n    kept = 1\n    return [kept for _ in active]"
    assert hash_of(source, kept=1) == hash_of(source, kept=2)


def test_a_function_may_call_itself_and_two_each_other():
    itself = "def choose(active):\n    return choose(active[1:]) if len(active) > 1 else 0"
    assert hash_of(itself) == hash_of(itself, choose=len)
    assert hash_of("def a(x):\n    return choose(x)\ndef choose(active):\n    return a(active)")


# --- in other processes ---------------------------------------------------------------------------------------------

SHARED = """
import math
from functools import partial
import numpy as np
from numpy import argmin
from meshsim.scenario.function_code import digest
NAMES = frozenset({"one", "two", "three", "four"})
def choose(active):
    if "x" in {"alpha", "beta", "gamma", "delta"} or "one" in NAMES:
        return int(argmin(active)) + len(active) + math.floor(np.sqrt(2))
    return int(np.int64(1))
print(digest(choose))
"""


def test_the_hash_is_the_same_in_every_process():
    found = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SHARED]
        found.add(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)
    assert len(found) == 1
    assert len(found.pop().strip()) == 64


@pytest.mark.parametrize(
    "value",
    [object(), threading.Lock(), (1, object()), partial(lambda: 0), np.array([object()]), {"a": object()}],
    ids=["object", "lock", "tuple", "partial", "array", "dict"],
)
def test_values_that_differ_from_process_to_process_are_refused(value):
    with pytest.raises(ValueError, match="choose uses K, which cannot be told from another value"):
        hash_of("def choose(active):\n    return [K for _ in active]", K=value)


def test_text_that_looks_like_an_address_is_just_text():
    assert hash_of("def choose(active):\n    return K", K="it stands at 0x1")


def test_names_without_a_value_are_refused():
    with pytest.raises(ValueError, match="choose uses helper, which has no value yet; define it first"):
        hash_of("def choose(active):\n    return helper(active)")


# --- what draws -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\ndef choose(active):\n    return np.random.rand()",
        "import numpy as np\ndef choose(active):\n    return [np.random.rand() for _ in active]",
        "import random\ndef choose(active):\n    return random.random()",
        "from random import randint\ndef choose(active):\n    return randint(0, 1)",
        "from numpy.random import rand\ndef choose(active):\n    return rand()",
        "from numpy import random as r\ndef choose(active):\n    return [r.rand() for _ in active]",
        "import numpy as np\nR = np.random.default_rng(1)\ndef choose(active):\n    return R.integers(2)",
        "import numpy as np\ndef helper():\n    return np.random.rand()\ndef choose(active):\n    return helper()",
        "from numpy.random import rand as r\nEACH = (len, lambda: r())\ndef choose(active):\n    return EACH[1]()",
    ],
)
def test_draws_are_found_however_they_are_called(source):
    assert draws(function(source))


@pytest.mark.parametrize(
    "source", [PLAIN, HELPED, "import numpy as np\ndef choose(active):\n    return np.argmin(active)"]
)
def test_functions_without_draws_pass(source):
    assert not draws(function(source))
