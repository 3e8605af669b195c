"""Random streams: every key is derived from what a number is for, never from its place in a batch."""

import zlib

import jax


def stream(key: jax.Array, name: str) -> jax.Array:
    """The key of the stream `name` below `key`; equal names give equal streams."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def member_key(seed: int, fold: int, point: int) -> jax.Array:
    """The root key of the member that trains on `fold` with GAN seed `seed` at sweep point `point`."""
    key = stream(jax.random.key(seed), "member")
    return jax.random.fold_in(jax.random.fold_in(key, fold), point)
