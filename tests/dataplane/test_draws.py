from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from meshsim.dataplane.draws import PURPOSES, child, normal, philox, round_keys, uniform, uniforms

TOP = (1 << 64) - 1


def numpy_words(key, counter):
    """Return numpy's four words for a counter; numpy increments the counter before it generates."""
    number = sum(word << 64 * place for place, word in enumerate(counter))
    before = (number - 1) % (1 << 256)
    generator = np.random.Philox(counter=before, key=sum(word << 64 * place for place, word in enumerate(key)))
    return [int(word) for word in generator.random_raw(4)]


def words(keys, purpose, counter):
    return [int(word) for word in philox(keys, purpose, *(np.uint64(word) for word in counter))]


def test_words_are_those_of_numpys_philox_for_many_keys_and_counters():
    random = np.random.default_rng(1)
    for _ in range(40):
        seed, replication = int(random.integers(1 << 63)), int(random.integers(10_000))
        keys = round_keys(seed, replication)
        purpose = int(random.integers(PURPOSES))
        counter = [int(word) for word in random.integers(0, 1 << 64, 4, dtype=np.uint64)]
        assert words(keys, purpose, counter) == numpy_words((seed, replication << 16 | purpose), counter)


@pytest.mark.parametrize(
    "counter", [(0, 0, 0, 0), (1, 0, 0, 0), (TOP, 0, 0, 0), (0, TOP, 0, TOP), (TOP, TOP, TOP, TOP)]
)
@pytest.mark.parametrize("seed", [0, 1, (1 << 63) - 1])
def test_words_are_those_of_numpys_philox_at_the_edges(seed, counter):
    assert words(round_keys(seed, 0), 0, counter) == numpy_words((seed, 0), counter)


@pytest.mark.parametrize("word", [0, 1, 1 << 11, (1 << 63) - 1, 1 << 63, TOP - (1 << 11), TOP])
def test_uniforms_lie_strictly_between_zero_and_one(word):
    # A uniform of 1 would pick the host behind the last one, and a demand of infinity.
    assert 0.0 < uniform(np.uint64(word)) < 1.0


def test_uniforms_are_spread_evenly():
    keys = round_keys(7, 3)
    drawn = np.array([uniforms(keys, 2, np.uint64(i), np.uint64(0), 0, 0) for i in range(20_000)])
    # The mean of 20 000 uniforms has a standard deviation of 0.2887/√20000 = 0.00204.
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 4 * 0.00204
    assert np.abs(np.corrcoef(drawn.T)[~np.eye(4, dtype=bool)]).max() < 4 / np.sqrt(20_000)
    counts = np.histogram(drawn[:, 0], bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 45.0  # chi-square, 19 degrees: 0.999 quantile is 43.8


def test_a_draw_depends_on_its_seed_replication_purpose_and_identity_only():
    counter = tuple(np.uint64(word) for word in (5, 6, 7, 8))
    drawn = {
        philox(round_keys(seed, replication), purpose, *counter)
        for seed in range(3) for replication in range(3) for purpose in range(PURPOSES)
    }  # fmt: skip
    assert len(drawn) == 3 * 3 * PURPOSES
    assert philox(round_keys(1, 2), 3, *counter) == philox(round_keys(1, 2), 3, *counter)


def test_purposes_are_independent_of_one_another():
    keys = round_keys(1, 0)
    drawn = np.array(
        [[uniforms(keys, p, np.uint64(i), np.uint64(1), 0, 0)[0] for p in range(PURPOSES)] for i in range(5_000)]
    )
    off_diagonal = np.corrcoef(drawn.T)[~np.eye(PURPOSES, dtype=bool)]
    assert np.abs(off_diagonal).max() < 4.5 / np.sqrt(5_000)


def test_normal_is_the_quantile_function():
    u = np.concatenate([np.logspace(-300, -1, 400), np.linspace(0.001, 0.999, 999), 1.0 - np.logspace(-15, -1, 200)])
    ours = np.array([normal(value) for value in u])
    np.testing.assert_allclose(ours, ndtri(u), rtol=1e-13, atol=1e-15)


def test_identities_of_calls_do_not_collide_in_a_large_tree():
    root = np.uint64(0x1234567890ABCDEF)
    level, seen = [root], {int(root)}
    total = 1
    for _ in range(4):
        # Ten steps with the repetitions that call_out makes of them: left · 128 + tries.
        level = [np.uint64(child(p, step, left * 128)) for p in level for step in range(10) for left in (1, 2)]
        seen |= {int(path) for path in level}
        total += len(level)
    assert total == 1 + 20 + 400 + 8_000 + 160_000
    assert len(seen) == total


def test_identities_tell_steps_from_repetitions():
    path = np.uint64(99)
    drawn = {int(child(path, step, iteration)) for step in range(100) for iteration in range(300)}
    assert len(drawn) == 30_000
