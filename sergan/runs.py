"""Several runs beside each other: what differs between their configs, and the rows that count of each."""

from collections.abc import Mapping, Sequence

import pandas as pd
from etils import epath

from sergan import comparison, page, sweep
from sergan.errors import UserError
from sergan.run_folder import Run

_LONGEST = 24  # characters of a folder's name that is still a label
_TRAINED = (*sweep.ARMS, "real+wavegan", "real+specgan")
SHARED = "all runs"  # in place of a name where runs share a row


def read(paths: Sequence[epath.PathLike]) -> dict[str, Run]:
    """The runs by a short name: their folder's, or "run 1", "run 2" where folders share one or it is long.

    Raises:
      UserError: no path is given, or a run has no results.csv yet.
    """
    runs = [Run(epath.Path(path)) for path in paths]
    if not runs:
        raise UserError("no run folder to compare")
    for run in runs:
        if run.results is None or run.results.empty:
            raise UserError(f"{run.folder}: no results.csv yet; finish this run before comparing it")
    names = [run.folder.name for run in runs]
    if len(set(names)) < len(names) or max(map(len, names)) > _LONGEST:
        names = [f"run {i + 1}" for i in range(len(runs))]
    return dict(zip(names, runs, strict=True))


def differing(runs: Mapping[str, Run]) -> dict[str, list[str]]:
    """Dotted key -> its value in each run's config, for the keys in which they differ."""
    configs = [dict(page.flat(run.record.get("config", {}))) for run in runs.values()]
    values = {
        key: [page.value_words(config[key]) if key in config else "not set" for config in configs]
        for config in configs
        for key in config
    }
    return {key: said for key, said in values.items() if len(set(said)) > 1}


def rows(runs: Mapping[str, Run]) -> pd.DataFrame:
    """What counts of each run's arms with CycleGANs, or of recordings of all arms: `sweep.measured`, with the
    run's name and training seconds.

    `real` is there once where the runs share its numbers. Of a sweep only the first point is taken, but for
    the rows whose point was chosen on inner folds; their quality and members are of the first one, too.
    """
    parts = []
    for name, run in runs.items():
        results = sweep.first(run, run.need("results"))
        if run.kind == "features":
            results = results[results["arm"].isin(["real", *sweep.ARMS])]
        found = sweep.measured(run, _counting(results))
        seconds = run.record.get("stages", {}).get("train")
        seconds_N = [seconds if arm in _TRAINED else None for arm in found["arm"]]
        parts.append(found.assign(run=name, seconds=pd.Series(seconds_N, dtype=float)))
    table = pd.concat(parts, ignore_index=True)
    is_real = table["arm"] == "real"
    same = [*comparison.GROUP, "uar", "uar_low", "uar_high", "wa"]
    real = table[is_real]
    owners = real.groupby(same, sort=False, dropna=False)["run"].transform(
        lambda names: SHARED if 1 < len(names) == len(runs) else ", ".join(names)
    )
    real = real.assign(run=owners).drop_duplicates(same)
    return comparison.in_order(pd.concat([real, table[~is_real]], ignore_index=True))


def _counting(results: pd.DataFrame) -> pd.DataFrame:
    """Of each arm what was chosen on inner folds, or else its largest amount."""
    found = results.sort_values("amount", ascending=False, na_position="first", kind="stable")
    return found.drop_duplicates([*comparison.GROUP, "arm"]).sort_index()
