"""The command line: which flags a mode looks at, what they change in a config, and how errors are worded."""

import re
import zlib
from pathlib import Path
from typing import Any

from etils import epath
from ml_collections import config_flags

from sergan.corpora.prepared import PREFIX
from sergan.errors import UserError

_MODES = {  # that look at a flag; all look at the others
    "out": ("synthesize", "report"),
    "per_class": ("synthesize",),
    "source": ("synthesize",),
    "sweep": ("run", "inspect"),
    "profile": ("run",),
    "hosts": ("run",),
    "config": ("run", "inspect"),
}
EMBEDDED = "emodb"  # the corpus of configs that name no other


def check_flags(given: Any, rest: list[str]) -> None:
    """Raises UserError for words that are no flags, and for flags that the mode does not look at."""
    if rest:
        raise UserError(f"not a flag: {rest[0]}")
    mode = given["mode"].value
    for name, modes in _MODES.items():
        if given[name].present and mode not in modes:
            own = "; the study's own speech is --config.source" if name == "source" and mode == "run" else ""
            own = "; the run folder has its config" if name == "config" else own
            raise UserError(f"--{name} is for --mode={' or '.join(modes)}, not {mode}{own}")
    if given["sweep"].present and not given["sweep"].value:
        raise UserError('--sweep= is empty; give a grid like "lambda_cyc=1,5;lambda_cls=0,2"')


def overrides(flag: Any, sweep: str) -> dict[str, Any]:
    """What the command line changes in the config of the flag --config; points of --sweep are put into it.

    A stock set, or a table of one's own in place of EMO-DB, is named after itself, unless a name is given:
    what is known of the corpus that the config names does not hold for it.

    Raises:
      UserError: there is no config, `sweep` is no grid, the config has no sweep of its own, or its kind is to
        be another one.
    """
    from experiments import points

    if flag.value is None:
        raise UserError("--config is missing, for example --config=configs/emodb_wdiv.py")
    found = dict(config_flags.get_override_values(flag))
    if "kind" in found:
        raise UserError(
            "--config.kind: belongs to the config's file; configs/emodb_wdiv.py works on features, "
            "configs/emodb_hda.py on recordings"
        )
    if "gan.loss" in found and flag.value.arms:
        raise UserError(
            f"--config.gan.loss: this study's arms are {', '.join(flag.value.arms)}; name others with "
            "--config.arms"
        )
    for key in {"corpus", "target"} & set(flag.value):
        corpus = flag.value[key]
        if f"{key}.name" in found:
            continue
        if found.get(f"{key}.table") and corpus.name == EMBEDDED:
            corpus.name = Path(corpus.table).stem
        elif corpus.root.startswith(PREFIX) and (f"{key}.root" in found or corpus.name == EMBEDDED):
            corpus.name = re.split("[/:]", corpus.root.removeprefix(PREFIX))[0]
    if sweep and "sweep" not in flag.value:
        raise UserError(f"--sweep={sweep[:80]}: a study on {flag.value.kind} has no CycleGANs to sweep")
    if sweep:
        flag.value.sweep = tuple(points.asked(sweep, config_flags.get_config_filename(flag)))
        found["sweep"] = sweep
    return found


def place(name: epath.PathLike) -> epath.Path:
    """A folder or file of a flag; the shell leaves a ~ after = as it is."""
    return epath.Path(name).expanduser()


def default_workdir(flag: Any, overrides: dict[str, Any]) -> epath.Path:
    """runs/<config>-<preset and overrides> of the flag --config."""
    file, _, preset = config_flags.get_config_filename(flag).partition(":")
    parts = [Path(file).stem, preset, *(f"{key}={value}" for key, value in sorted(overrides.items()))]
    name = re.sub(r"[^\w.,=+-]+", "_", "-".join(part for part in parts if part))
    return epath.Path("runs") / (name if len(name) < 120 else f"{name[:110]}-{zlib.crc32(name.encode()):08x}")


def in_words(error: Exception, wrong_input: bool) -> str:
    """An exception as one or two lines: a UserError as it stands, others with their kind."""
    return "\n".join(map(_shortened, _said(error, wrong_input).splitlines()))


def _said(error: Exception, wrong_input: bool) -> str:
    if isinstance(error, UserError):
        return str(error)
    if wrong_input and isinstance(error, AttributeError | KeyError):  # from the config's own flags
        near = re.search(r"mean .(\w+). instead of .(\w+).", str(error))
        if near:
            return f"no such config key: {near[2]}; did you mean {near[1]}?"
        return "no such config key: " + str(error).strip("\"'")
    if wrong_input and isinstance(error, MemoryError | RecursionError):
        return "a key or value is nested too deeply"
    lines = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
    if wrong_input and "Traceback" in str(error):  # of a config's file
        return lines[-1].removeprefix("ValueError: ")
    if wrong_input:
        return " ".join(str(error).split()) or lines[0]
    return f"{type(error).__name__}: {lines[0][:500]} (--debug_errors shows where)"


def _shortened(line: str) -> str:
    """A line without its middle, where that is long: what was given may be of any length."""
    return line if len(line) <= 2000 else f"{line[:1000]} … {line[-1000:]}"
