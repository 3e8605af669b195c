"""The file of --config and what the command line changes in it, looked at before they are parsed."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections

from configs import common, recordings
from sergan.errors import UserError

_DEFAULTS = {"features": common.base, "recordings": recordings.base}  # by the kind of a study


def defaults(kind: str) -> ml_collections.ConfigDict:
    """The keys that every study of a kind has."""
    return _DEFAULTS[kind]()


def check(argv: list[str]) -> None:
    """Raises UserError if the file of --config is none that makes a config, or a key is none to be given."""
    for flag, value in zip(argv, [*argv[1:], ""], strict=True):
        name, _, text = flag.lstrip("-").partition("=")
        if name == "config" and flag.startswith("-"):
            made = _made(text or value)
            for word in argv:
                _check_depth(made, word)


def load(file: str) -> Any:
    """The module of a config file.

    Raises:
      UserError: there is no such file, or it is not Python, or raises an error.
    """
    if not Path(file).is_file():
        raise UserError(f"--config={file}: no such file; the studies are in configs/")
    if Path(file).suffix != ".py":
        raise UserError(f"--config={file}: not a Python file; the studies are in configs/")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file does
        raise failed(f"--config={file}", error) from error
    return module


def failed(what: str, error: Exception) -> UserError:
    """A user's own code that raised something, in one line."""
    lines = str(error).splitlines() or [""]
    return UserError(f"{what}: raises {type(error).__name__}: {lines[0][:200]}")


def _made(word: str) -> ml_collections.ConfigDict | None:
    """The config of FILE[:PRESET]; None where a preset that is not there is the file's own to refuse."""
    file, _, preset = word.partition(":")
    make = getattr(load(file), "get_config", None)
    if make is None:
        raise UserError(f"--config={file}: has no get_config(preset); see configs/emodb_wdiv.py")
    try:
        config = make(preset) if ":" in word else make()
    except ValueError:
        return None
    except Exception as error:  # whatever a user's file does
        raise failed(f"--config={word}", error) from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"--config={file}: get_config gives a {type(config).__name__}, not a ConfigDict")
    made_by = config.get("kind", "features")
    if made_by not in _DEFAULTS:
        known = ", ".join(_DEFAULTS)
        raise UserError(f"--config={file}: config.kind is {made_by!r}, which is none of {known}")
    missing = list(_missing(defaults(made_by), config, "config"))
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UserError(
            f"--config={file}: {', '.join(missing[:3])}{more} are missing; begin with "
            f"{_DEFAULTS[made_by].__module__}.base()"
        )
    return config


def _missing(wanted: Mapping[str, Any], config: Any, prefix: str) -> Any:
    """Keys that every config has and this one lacks."""
    for key, value in wanted.items():
        name = f"{prefix}.{key}"
        if key not in config:
            yield name
        elif isinstance(value, ml_collections.ConfigDict):
            yield from _missing(value, config[key], name)


def _check_depth(config: Any, word: str) -> None:
    """Raises UserError for --config.a.b=... where a is a value, not a group of keys, or b is such a group."""
    key = word.lstrip("-").partition("=")[0]
    if config is None or not word.startswith("-") or not key.startswith("config.") or "[" in key:
        return
    *groups, last = key.split(".")[1:]
    for place, group in enumerate(groups):
        if group not in config:
            return  # an unknown key, of which the flags themselves say what it may have meant
        config = config[group]
        if not isinstance(config, ml_collections.ConfigDict):
            name = ".".join(["config", *groups[: place + 1]])
            raise UserError(f"--{key}: no such key, {name} is a value and has no keys of its own")
    if last in config and isinstance(config[last], ml_collections.ConfigDict):
        raise UserError(f"{word}: {key} is a group of keys; change them one by one, as --{key}.KEY=VALUE")
