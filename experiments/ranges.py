"""Whether the values of a config's keys are of the kind, of the words and in the range of their keys."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sergan.errors import UserError

LARGEST = 1e9  # of any number: more is a slip of the pen, or does not fit float32 or the steps' counter
_WORDS = {str: "words", float: "numbers", int: "whole numbers", tuple: "tuples", Mapping: "points"}


def check_words(key: str, values: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Raises UserError for a word that is none of those of its key, or that is there twice."""
    for value in values:
        if value not in known:
            raise UserError(f"config.{key}: {value!r} is none of {', '.join(known)}")
    if len(set(values)) < len(values):
        raise UserError(f"config.{key} names one twice: {values}")


def check_kinds(config: Any, kinds: Mapping[str, tuple[type, ...]]) -> None:
    """Raises UserError for a value of another kind in a key that holds several."""
    for key, own in kinds.items():
        for value in at(config, key):
            if not isinstance(value, own) or isinstance(value, bool):
                raise UserError(f"config.{key} holds {_WORDS[own[0]]}, not {value!r}")


def check_sizes(config: Any, most: Mapping[str, float]) -> None:
    """Raises UserError for numbers that are not finite, or too large for any machine or for their key."""
    for key, value in _numbers(config, ""):
        largest = most.get(key.partition("[")[0], LARGEST)
        if not -LARGEST <= value <= largest:
            raise UserError(
                f"config.{key}: {value} is no number that can be used; {largest:g} is the largest"
            )


def positive(values: Mapping[str, Any]) -> None:
    """Raises UserError for a value that is not above 0, by its key."""
    _check(values, lambda value: value > 0, "be above 0")


def share(values: Mapping[str, Any]) -> None:
    """Raises UserError for a value that is not from 0 to below 1, by its key."""
    _check(values, lambda value: 0 <= value < 1, "lie between 0 and 1")


def zero_or_more(values: Mapping[str, Any]) -> None:
    """Raises UserError for a value below 0, by its key."""
    _check(values, lambda value: 0 <= value < float("inf"), "be 0 or more")


def multiples(steps: Mapping[str, int], chunk: int) -> None:
    """Raises UserError for steps, by their key, that chunks of `config.training.log_every` do not make up."""
    for key, count in steps.items():
        if count % chunk:
            raise UserError(
                f"config.{key} comes to {count} steps, not a multiple of config.training.log_every={chunk}"
            )


def at(config: Any, key: str) -> Any:
    """The value of a key with dots."""
    for part in key.split("."):
        config = config[part]
    return config


def _check(values: Mapping[str, Any], right: Callable[[Any], bool], words: str) -> None:
    for key, value in values.items():
        if not right(value):
            raise UserError(f"config.{key} must {words}, it is {value}")


def _numbers(value: Any, key: str) -> Iterator[tuple[str, float]]:
    """Every number of a config with its key."""
    if isinstance(value, bool | str):
        return
    if isinstance(value, int | float):
        yield key, value
    elif isinstance(value, tuple | list):
        for i, one in enumerate(value):
            yield from _numbers(one, f"{key}[{i}]")
    elif hasattr(value, "items"):
        for name, one in value.items():
            yield from _numbers(one, f"{key}.{name}" if key else str(name))
