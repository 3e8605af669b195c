"""Saved samplers: a folder with arrays by Orbax and everything else as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import jax
import numpy as np
import pandas as pd
from etils import epath

from sergan import cyclegan
from sergan.checkpoint import restore_tree, save_tree
from sergan.errors import UserError
from sergan.folds import Scaler
from sergan.gan import GanConfig

FORMAT = {"kind": "sergan.CycleGANSampler", "version": 2}  # of saved samplers
_ABOUT, _ARRAYS = "sampler.json", "arrays"


def save(sampler: Any, path: epath.PathLike) -> None:
    """Writes a fitted sampler as the folder `path`; see `CycleGANSampler.save`."""
    text = json.dumps(_about(sampler), indent=1)
    path = epath.Path(path).expanduser().resolve()
    if path.is_file() or (path.exists() and {p.name for p in path.iterdir()} - {_ABOUT, _ARRAYS}):
        raise UserError(f"{path}: is something other than a saved sampler; take another name")
    temporary = path.with_name(path.name + ".partial")
    temporary.rmtree(missing_ok=True)
    temporary.mkdir(parents=True)
    (temporary / _ABOUT).write_text(text)
    wide = ("source", sampler.source_), ("shift", sampler.scaler_.shift_D)  # of types that JAX may not have
    raw = {name: np.ascontiguousarray(x).view(np.uint8) for name, x in wide}
    save_tree(temporary / _ARRAYS, {"G": sampler.generators_, "scale": sampler.scaler_.scale_D} | raw)
    former = path.with_name(path.name + ".former")
    former.rmtree(missing_ok=True)
    if path.exists():
        path.rename(former)
    temporary.rename(path)
    former.rmtree(missing_ok=True)


def load(kind: type, path: epath.PathLike) -> Any:
    """The sampler, of the class `kind`, that `save` wrote; see `CycleGANSampler.load`."""
    path = epath.Path(path).expanduser().resolve()
    if not (path / _ABOUT).is_file() or not (path / _ARRAYS).is_dir():
        raise UserError(f"{path}: no saved sampler ({_ABOUT} and {_ARRAYS}/ are missing)")
    try:
        return _restored(kind, path)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{path}: damaged, or of another version ({error})") from error


def _about(sampler: Any) -> dict[str, Any]:
    """What `save` writes beside the arrays; a dict as a list of pairs, whose keys may be numbers."""
    params = sampler.get_params(deep=False)
    del params["source"]
    names = getattr(sampler, "feature_names_in_", None)
    return {
        "format": FORMAT,
        "params": {name: _plain(name, value) for name, value in params.items()},
        "given": sampler.source is not None,
        "columns": _plain("source.columns", list(getattr(sampler.source, "columns", []))),
        "config": asdict(sampler.config_),
        "classes": _plain("y", sampler.classes_.tolist()),
        "added": _plain("y", list(sampler.sampling_strategy_.items())),
        "class_type": sampler.classes_.dtype.str,
        "names": None if names is None else names.tolist(),
        "type": sampler.dtype_.str,
        "types": [kind.str for kind in sampler.types_],
        "source_type": sampler.source_.dtype.str,
        "source_rows": len(sampler.source_),
        "seed": sampler.seed_,
    }


def _plain(name: str, value: Any) -> Any:
    """A parameter as JSON has it; a dict as pairs, whose keys may be numbers."""
    pairs = {"pairs": list(value.items())} if isinstance(value, Mapping) else value
    try:
        return json.loads(json.dumps(pairs, default=np.generic.item))
    except TypeError as error:
        raise ValueError(
            f"{name}={value!r} cannot be saved; set_params({name}=...) to plain values"
        ) from error


def _from_plain(value: Any) -> Any:
    """What `_plain` was given, with tuples for lists."""
    if isinstance(value, dict):
        return dict(value["pairs"])
    return tuple(value) if isinstance(value, list) else value


def _restored(kind: type, path: epath.Path) -> Any:
    """The sampler of a folder that `save` wrote; raises various errors where it is another one."""
    about = json.loads((path / _ABOUT).read_text())
    if about["format"] != FORMAT:
        raise ValueError(f"format {about['format']}, not {FORMAT}")
    config = GanConfig(**{name: _from_plain(value) for name, value in about["config"].items()})
    source_type, width = np.dtype(about["source_type"]), config.features
    shapes = {
        "G": jax.eval_shape(lambda: cyclegan.init(config, jax.random.key(0)).generators["G"]),
        "scale": jax.ShapeDtypeStruct((width,), np.float32),
        "shift": jax.ShapeDtypeStruct((width * 8,), np.uint8),
        "source": jax.ShapeDtypeStruct((about["source_rows"], width * source_type.itemsize), np.uint8),
    }
    arrays = jax.tree.map(np.array, restore_tree(path / _ARRAYS, shapes))
    source_SxD, columns = arrays["source"].view(source_type), about["columns"]
    sampler = kind(**{name: _from_plain(value) for name, value in about["params"].items()})
    if about["given"]:
        sampler.source = pd.DataFrame(source_SxD, columns=columns) if columns else source_SxD
    sampler.classes_ = np.array(about["classes"], np.dtype(about["class_type"]))
    sampler.source_, sampler.dtype_ = source_SxD, np.dtype(about["type"])
    sampler.types_ = [np.dtype(name) for name in about["types"]]
    sampler.sampling_strategy_, sampler.generators_ = dict(about["added"]), arrays["G"]
    sampler.scaler_ = Scaler(arrays["shift"].view(np.float64), arrays["scale"])
    sampler.config_, sampler.seed_, sampler.n_features_in_ = config, about["seed"], width
    if about["names"] is not None:
        sampler.feature_names_in_ = np.array(about["names"], object)
    return sampler
