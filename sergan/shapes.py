"""What values from JSON must be: compared with a shape, so that nothing else need ask."""

import math
import re
from collections.abc import Mapping
from typing import Any

# A kind of value, a word or a pattern that it must equal or match, several of these, [shape] for a list, or
# {key: shape} for an object, where a key that ends in "?" may be missing and "*" stands for all others.
# Floats are finite, and may be an int.
Shape = Any

_LARGEST = 2**53  # whole number that a float holds, too
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}
_WORDS |= {list: "a list", type(None): "null"}


def fault(value: Any, shape: Shape, name: str = "") -> str:
    """What is not as it must be, in words, the first such thing; empty where all is."""
    if isinstance(shape, dict):
        return _fault_inside(value, shape, name)
    if isinstance(shape, list) and isinstance(value, list):
        faults = (fault(part, shape[0], f"{name}[{i}]") for i, part in enumerate(value))
        return next(filter(None, faults), "")
    several = isinstance(shape, tuple)
    if any(not fault(value, kind) for kind in shape) if several else _is(value, shape):
        return ""
    return f"{name or 'it'} is not {' or '.join(map(_word, shape if several else [shape]))}"


def of(value: Any) -> Shape:
    """The shape of values like this one: objects with keys that may be missing, lists of anything."""
    if isinstance(value, dict):
        return {f"{key}?": of(part) for key, part in value.items()}
    return type(value)


def _fault_inside(value: Any, shape: Mapping[str, Shape], name: str) -> str:
    """As `fault`, for an object."""
    if not isinstance(value, dict):
        return f"{name or 'it'} is not an object"
    start = f"{name}." if name else ""
    for key in shape:
        if not key.endswith("?") and key != "*" and key not in value:
            return f"{start}{key} is missing"
    shapes = {key.rstrip("?"): part for key, part in shape.items()}
    known = [(key, shapes.get(key, shapes.get("*"))) for key in value]
    faults = (fault(value[key], part, f"{start}{key}") for key, part in known if part is not None)
    return next(filter(None, faults), "")


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind, or the word or pattern that `kind` is."""
    if isinstance(kind, list):
        return False
    if isinstance(kind, re.Pattern):
        return isinstance(value, str) and kind.fullmatch(value) is not None
    if not isinstance(kind, type):
        return bool(value == kind)
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if isinstance(value, int) and kind in (int, float):
        return abs(value) <= _LARGEST
    if kind is float:
        return isinstance(value, float) and math.isfinite(value)
    return isinstance(value, kind)


def _word(kind: Any) -> str:
    """A kind as messages say it."""
    if isinstance(kind, list):
        return "a list"
    if isinstance(kind, re.Pattern):
        return f"like {kind.pattern}"
    return _WORDS[kind] if isinstance(kind, type) else repr(kind)
