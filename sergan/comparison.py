"""What the rows of results.csv say: which of them count, what the curve would have claimed, who beats whom.

Rows without an amount were chosen on inner folds, amount and settings for each outer fold: they count. Rows
with one are the curve at fixed settings. A study without inner choice has the latter only, and they count.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from sergan import metrics

GROUP = ["normalisation", "classifier"]
CHOSEN = "amounts and settings"  # on inner folds, unless a run says otherwise
TRAINED = ("sahu_gan", "sahu_cgan", "adan", "wadan", "gan", "wdiv")  # as `methods`, which needs jax
_KINDS = (
    *("duplicate", "noise", "smote", "mixup", "moments", "coral", "gaussian", *TRAINED),
    *("time_shift", "pitch_shift", "wavegan", "specgan"),
)
_MAIN = ("real", "real+wdiv", "real+moments")


def has_choice(rows: pd.DataFrame) -> bool:
    """Whether rows of results.csv or predictions.csv hold any that were chosen on inner folds."""
    return bool(rows["amount"].isna().any())


def counted(results: pd.DataFrame) -> pd.DataFrame:
    """The rows that count, in order: those chosen on inner folds, or all where there are none."""
    return in_order(results[results["amount"].isna()] if has_choice(results) else results)


def uncounted(results: pd.DataFrame) -> pd.DataFrame:
    """Arms at one amount that nothing was chosen for, which neither count nor have a curve, and `real`."""
    fixed = results[results["amount"].notna()]
    left = ~fixed["arm"].isin([*counted(results)["arm"], *curve(results)["arm"]])
    return in_order(fixed[left | (fixed["arm"] == "real")]) if left.any() else fixed[:0]


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows by normalisation and classifier as they first appear, then by arm: real, real+x, x alone."""
    first = [{value: i for i, value in enumerate(dict.fromkeys(rows[name]))} for name in GROUP]
    keys = [
        (first[0][normalisation], first[1][classifier], *_place(arm))
        for normalisation, classifier, arm in rows[[*GROUP, "arm"]].itertuples(index=False)
    ]
    return rows.iloc[sorted(range(len(keys)), key=keys.__getitem__)]


def curve(results: pd.DataFrame) -> pd.DataFrame:
    """The rows at fixed settings of arms with several amounts, by arm and amount, and of `real`."""
    fixed = results[results["amount"].notna()]
    several = fixed.groupby("arm")["amount"].nunique() > 1
    rows = fixed[((fixed["arm"] == "real") & several.any()) | fixed["arm"].isin(several[several].index)]
    order = rows["arm"].map({arm: _place(arm) for arm in set(rows["arm"])})
    return rows.assign(order=order).sort_values(["order", "amount"], kind="stable").drop(columns="order")


def largest(results: pd.DataFrame) -> pd.DataFrame:
    """The rows at each arm's largest amount; none that were chosen on inner folds."""
    return results[results["amount"] == results.groupby("arm")["amount"].transform("max")]


def main_arms(arms: list[str]) -> list[str]:
    """The few arms shown in detail: real, W-div and its control, or else the first arms beside real."""
    wanted = [arm for arm in _MAIN if arm in arms]
    return wanted if len(wanted) > 1 else list(dict.fromkeys(arms))[:3]


def optimism(results: pd.DataFrame) -> pd.DataFrame:
    """The best row of each arm at fixed settings, of all amounts and sweep points, against the chosen one.

    Columns: normalisation, classifier, arm, amount, claimed, claimed_delta, uar, delta_uar, optimism.
    """
    keys = [*GROUP, "arm"]
    points = results[results["amount"].notna() & results["uar"].notna()]
    best = points.loc[points.groupby(keys, sort=False)["uar"].idxmax()]
    best = best[[*keys, "amount", "uar", "delta_uar"]]
    best = best.rename(columns={"uar": "claimed", "delta_uar": "claimed_delta"})
    both = counted(results)[[*keys, "uar", "delta_uar"]].merge(best, on=keys)
    return both.assign(optimism=both["claimed"] - both["uar"])


def choices_made(choices: pd.DataFrame, points: Sequence[str] = ()) -> pd.DataFrame:
    """What was chosen over the outer folds, counted, by normalisation, classifier and arm, in words.

    `points` are what the point of each line is called, in a sweep.
    """
    columns = ["amount", "regularisation", "strength", "real_share", "setting"]
    there = [name for name in columns if name in choices and choices[name].notna().any()]
    if points:
        choices, there = choices.assign(point=points), ["point", *there]
    counts = choices.groupby([*GROUP, "arm"], sort=False)[there].agg(_counts)
    return in_order(counts.reset_index())


def mean_amounts(choices: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """Normalisation, classifier and arm -> the mean amount chosen over the outer folds."""
    means = choices.groupby([*GROUP, "arm"])["amount"].mean().dropna()
    return {tuple(map(str, names)): float(mean) for names, mean in means.items()}  # type: ignore[misc]


def with_missing(rows: pd.DataFrame, cells: Iterable[tuple[str, str, str]]) -> pd.DataFrame:
    """Rows of results.csv and one without numbers for each (normalisation, classifier, arm), in order."""
    lines = [dict(zip([*GROUP, "arm"], cell, strict=True)) | {"point": 0} for cell in cells]
    return in_order(pd.concat([rows, pd.DataFrame(lines)], ignore_index=True)) if lines else rows


def with_gaps(rows: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Rows of results.csv with `gaps`: folds of which a row has no predictions, or not of all its seeds."""
    cell = list(metrics.CELL)
    seeds = predictions.groupby([*cell, "fold"], dropna=False)["seed"].nunique().reset_index()
    whole = seeds[seeds["seed"] == seeds.groupby(cell, dropna=False)["seed"].transform("max")]
    gaps = predictions["fold"].nunique() - whole.groupby(cell, dropna=False).size()
    return rows.merge(gaps.rename("gaps").reset_index(), on=cell, how="left")


def verdict(row: Mapping[str, Any]) -> str:
    """better, worse or open: a difference is one only where its paired 95 % interval excludes 0."""
    return "better" if row["delta_low"] > 0 else "worse" if row["delta_high"] < 0 else "open"


def answer(results: pd.DataFrame, contrasts: pd.DataFrame | None = None, chosen: str = CHOSEN) -> str:
    """Does augmentation beat `real`? A sentence on one arm, a paragraph on several or chosen ones.

    A difference is called one only where its paired 95 % interval excludes 0. Of several amounts, of which
    none was chosen, it is about the largest. `chosen` is what inner folds chose, where they did.
    """
    if has_choice(results):
        return _answer_several(counted(results), f", with {chosen} chosen on inner folds", contrasts)
    arms = list(dict.fromkeys(arm for arm in results["arm"] if arm.startswith("real+")))
    if not arms:
        return "No arm with synthetic rows beside the real ones has been tested yet."
    rows = _with_sets(results[results["arm"].isin(arms)])
    if len(arms) > 1:
        return _answer_several(rows, "", contrasts)
    rows = rows[rows["delta_low"].notna()].drop_duplicates(GROUP)
    if rows.empty:
        return f"{arms[0]} cannot be compared with real yet."
    found: dict[str, list[str]] = {"better": [], "worse": [], "open": []}
    for row in rows.to_dict("records"):
        found[verdict(row)].append(f"{_where(row)}: {_interval_words(row)}")
    verbs = {"better": "beats it in", "worse": "is worse in", "open": "cannot be told apart from it in"}
    parts = [f"{verbs[k]} {len(cases)} ({'; '.join(cases)})" for k, cases in found.items() if cases]
    if not found["better"]:
        parts.insert(0, "beats it in none")
    joined = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    many = f"{len(rows)} comparisons" if len(rows) > 1 else "1 comparison"
    return f"Compared with real by pooled UAR in {many}, {rows['arm'].iloc[0]} {joined}."


def sets_words(amount: float) -> str:
    """An amount in words: "1 set", "2.5 sets"."""
    return f"{amount:g} set{'s' * (amount != 1)}"


def _with_sets(rows: pd.DataFrame) -> pd.DataFrame:
    """Each arm's rows at its largest amount, which its name says where it has several."""
    several = rows.groupby("arm")["amount"].transform("nunique") > 1
    sets = " with " + rows["amount"].map(sets_words)
    rows = largest(rows.assign(sets=sets.where(several, "")))
    return rows.assign(arm=rows["arm"] + rows["sets"])


def _answer_several(rows: pd.DataFrame, how: str, contrasts: pd.DataFrame | None) -> str:
    """Which arms are better and worse, by normalisation and classifier."""
    tested = rows[(rows["arm"] != "real") & rows["delta_low"].notna()].drop_duplicates([*GROUP, "arm"])
    if tested.empty:
        return "No arm can be compared with real yet."
    parts = [f"Compared with real by pooled UAR{how}."]
    for _, rows in tested.groupby(GROUP, sort=False):
        records = rows.to_dict("records")
        found = {
            word: [f"{row['arm']} ({100 * row['delta_uar']:+.1f})" for row in records if verdict(row) == word]
            for word in ("better", "worse", "open")
        }
        better, worse = (", ".join(found[word]) or "none" for word in ("better", "worse"))
        open_ones = f"{len(found['open'])} of {len(records)} cannot be told apart from it"
        parts.append(f"{_where(records[0])}: better {better}; worse {worse}; {open_ones}.")
    clear_rows = [row for row in tested.to_dict("records") if verdict(row) != "open"]
    if clear_rows:
        kept = sum(row["p_value"] < 0.05 for row in clear_rows)
        parts.append(f"{kept} of {len(clear_rows)} such differences keep p < 0.05 after Holm's correction.")
    if contrasts is not None:
        parts += _contrast_words(contrasts, "real+wdiv", "real+moments")
    return " ".join(parts)


def _contrast_words(contrasts: pd.DataFrame, a: str, b: str) -> list[str]:
    """One sentence on the paired difference of two arms; none where it was not tested."""
    rows = contrasts[(contrasts["a"] == a) & (contrasts["b"] == b) & contrasts["delta_low"].notna()]
    words = {"better": "better", "worse": "worse", "open": "no difference shown"}
    cases = [
        f"{_where(row)}: {words[verdict(row)]} ({_interval_words(row | {'delta_uar': row['delta']})})"
        for row in rows.to_dict("records")
    ]
    return [f"{a} against {b}: {'; '.join(cases)}."] if cases else []


def _interval_words(row: Mapping[str, Any]) -> str:
    value, low, high = (100 * row[name] for name in ("delta_uar", "delta_low", "delta_high"))
    return f"{value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}"


def _where(row: Mapping[str, Any]) -> str:
    return f"{metrics.classifier_name(row['classifier'])}, {row['normalisation']} normalisation"


def _place(arm: str) -> tuple[int, int]:
    """Where an arm stands: real, real+x, then x alone; each by kind."""
    kind = arm.removeprefix("real+")
    level = 0 if arm == "real" else 1 if arm.startswith("real+") else 2
    return level, _KINDS.index(kind) if kind in _KINDS else len(_KINDS)


def _counts(values: pd.Series) -> str:
    """Each value, with how often it occurs where there are several: numbers by size, words by how often."""
    count = values.dropna().value_counts()
    numbers = pd.api.types.is_numeric_dtype(count.index)
    count = count.sort_index() if numbers else count
    words = [f"{value:g}" if numbers else str(value) for value in count.index]
    if len(words) > 1:
        words = [f"{word} ({n})" for word, n in zip(words, count, strict=True)]
    return "; ".join(words)
