"""Random streams: every key is derived from what a number is for, never from its place in a batch."""

import zlib

import jax


def stream(key: jax.Array, name: str) -> jax.Array:
    """The key of the stream `name` below `key`; equal names give equal streams."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def member_key(seed: int, fold: int) -> jax.Array:
    """The root key of a member that trains on `fold` with GAN seed `seed`, the same at all points of a sweep:
    they differ by what is swept and not by chance."""
    return jax.random.fold_in(stream(jax.random.key(seed), "member"), fold)
