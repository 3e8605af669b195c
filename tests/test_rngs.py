"""Keys come from what they are for."""

import itertools

import jax
import numpy as np

from sergan import rngs


def words(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_every_seed_and_fold_has_its_own_key_and_always_the_same():
    keys = {words(rngs.member_key(*which)) for which in itertools.product(range(3), range(10))}
    assert len(keys) == 30
    assert words(rngs.member_key(1, 2)) == words(rngs.member_key(1, 2))


def test_streams_differ_by_name_and_by_the_key_above():
    key = jax.random.key(0)
    names = ["batch", "generators", "critics", "interpolate", "G", "F", "critic_T", "critic_S", "C"]
    assert len({words(rngs.stream(key, name)) for name in names}) == len(names)
    assert words(rngs.stream(key, "batch")) != words(rngs.stream(jax.random.key(1), "batch"))
