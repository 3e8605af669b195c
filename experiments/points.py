"""The points of a sweep: what each of them changes in the settings of the CycleGANs."""

import ast
import copy
import math
import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from experiments.config_file import failed, load
from sergan.errors import UserError

Point = Mapping[str, Any]  # by a key of config.hypers (traced) or config.gan (compiled)
_FIXED = ("loss", "seeds")  # of config.gan: an arm each, and a member each
_MOST = 10_000  # points
_LONGEST = 10_000  # characters of a grid
_CONFIG = "config"  # --sweep without a value: the config file's own


def asked(flag: str, config_file: str) -> list[Point]:
    """The points that the flag --sweep asks for: a grid, or those of the config file's `sweep(add)`.

    Args:
      flag: "lambda_cyc=0.5,1;lambda_cls=0,2", or "config".
      config_file: as FILE[:PRESET].
    Raises:
      UserError: it is no grid, or the file has no sweep(add).
    """
    if flag != _CONFIG:
        return _grid(flag)
    file = config_file.partition(":")[0]
    module = load(file)
    if not hasattr(module, "sweep"):
        raise UserError(f'{file} has no sweep(add); name a grid, as in --sweep="lambda_cyc=0.5,1,2"')
    points: list[Point] = []
    try:
        module.sweep(lambda **values: points.append(values))
    except Exception as error:  # whatever a user's file does
        raise failed(f"{file}: sweep(add)", error) from error
    return points


def resolve(config: Any) -> list[Point]:
    """The points of `config.sweep`, each once; one empty point where nothing is swept.

    Raises:
      UserError: a key that is no setting of the CycleGANs, or a value of another kind than the config's.
    """
    points: list[Point] = []
    for given in config.sweep:
        if not isinstance(given, Mapping) or not given:
            raise UserError(f"config.sweep: {given!r} is no point; one is like {{'lambda_cyc': 5.0}}")
        point = {key: _value(config, key, value) for key, value in given.items()}
        if not points or point.keys() == points[0].keys():
            points.append(point)
        else:
            raise UserError(f"config.sweep: each point names the same keys, not {', '.join(point)} here only")
    firsts: dict[str, Point] = {}
    for each in points:
        firsts.setdefault(repr(sorted(each.items())), each)
    return list(firsts.values()) or [{}]


def at(config: Any, point: Point) -> Any:
    """The config with the settings of a point."""
    changed = copy.deepcopy(config)
    for key, value in point.items():
        (changed.hypers if key in config.hypers else changed.gan)[key] = value
    return changed


def _grid(text: str) -> list[Point]:
    """Every combination of the values of "key=value,value;key=value"."""
    if len(text) > _LONGEST:
        raise UserError(f"--sweep: {len(text)} characters, {_LONGEST} are the most")
    values: dict[str, list[Any]] = {}
    for part in filter(None, text.split(";")):
        key, equals, listed = part.partition("=")
        if not (equals and listed.strip()) or key.strip() in values:
            raise UserError(f'--sweep: {part!r} is not key=value,value; as in --sweep="lambda_cyc=0.5,1,2"')
        values[key.strip()] = [_parsed(word) for word in re.split(r",(?![^(]*\))", listed)]
    count = math.prod(map(len, values.values()))
    if count > _MOST:
        raise UserError(f"--sweep: {count} points, {_MOST} are the most; name fewer keys or values")
    return [dict(zip(values, combination, strict=True)) for combination in product(*values.values())]


def _parsed(word: str) -> Any:
    """A number, a tuple or True as such, anything else as the word itself."""
    try:
        return ast.literal_eval(word.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return word.strip()


def _value(config: Any, key: str, value: Any) -> Any:
    """The value as the config's own kind."""
    traced = key in config.hypers
    if not traced and (key not in config.gan or key in _FIXED):
        known = [*config.hypers, *(name for name in config.gan if name not in _FIXED)]
        raise UserError(
            f"config.sweep: {key} is no setting of the CycleGANs to sweep; there are {', '.join(known)}"
        )
    now = (config.hypers if traced else config.gan)[key]
    if isinstance(now, list):  # from a run folder's config.json
        now = tuple(now)
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(now, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(now):
        where = "hypers" if traced else "gan"
        raise UserError(f"config.sweep: {key}={value!r} must be like config.{where}.{key}, which is {now!r}")
    return value
