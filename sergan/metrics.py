"""UAR, WA and confusions of predictions; intervals and tests that respect speakers.

A cell is one arm with one classifier, amount, sweep point and normalisation: one row of results.csv. Whatever
a cell's figures need is counted once per speaker and seed; the bootstrap and the swap test are then products
of those counts.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtrit

from sergan.errors import UserError

CELL = ("arm", "classifier", "amount", "point", "normalisation")
WORDS = ("corpus", "id", "speaker", "arm", "classifier", "normalisation", "truth", "prediction")
RESULTS = (
    *CELL,
    "classes",
    "seeds",
    "uar",
    "uar_low",
    "uar_high",
    "uar_sd",
    "wa",
    "delta_uar",
    "delta_low",
    "delta_high",
    "p_value",
    "wa_low",
    "wa_high",
)
CONTRASTS = (
    "a",
    "b",
    "classifier",
    "point",
    "normalisation",
    "delta",
    "delta_low",
    "delta_high",
    "p_value",
)
_NEEDED = (*CELL, "id", "speaker", "fold", "seed", "truth", "prediction")
_OWN = (("real+wdiv",), ("real+gan",), ("real+wavegan", "real+specgan"))
_EXACT_SPEAKERS = 12  # up to here all 2^S sign patterns are tried
_FEW = 6  # speakers, fewer than which have too few different bootstrap means for percentiles
_PATTERNS = 10_000


class Cell(NamedTuple):
    """What one row of results.csv is about."""

    arm: str
    classifier: str
    amount: float
    point: int
    normalisation: str


class _Tally(NamedTuple):
    """Rows of each speaker, seed and class, and how many of them were recognised."""

    hits_SxQxC: np.ndarray
    total_SxQxC: np.ndarray


def confusion(truth: Sequence, prediction: Sequence, classes: Sequence) -> np.ndarray:
    """Counts [C, C]: rows are the true classes, columns the predicted ones, both in the order of `classes`.

    Raises:
      UserError: labels of different lengths, or a label that is none of `classes`.
    """
    truth_N, prediction_N = _codes(truth, classes), _codes(prediction, classes)
    if len(truth_N) != len(prediction_N):
        raise UserError(f"{len(truth_N)} true labels, but {len(prediction_N)} predictions")
    count = len(classes)
    return np.bincount(truth_N * count + prediction_N, minlength=count**2).reshape(count, count)


def uar(truth: Sequence, prediction: Sequence, classes: Sequence) -> float:
    """Unweighted average recall in [0, 1], over everything given; NaN without rows.

    Classes that are absent from `truth` are left out of the average. Raises UserError as `confusion`.
    """
    counts_CxC = confusion(truth, prediction, classes)
    return float(_recall_mean(np.diagonal(counts_CxC), counts_CxC.sum(axis=1)))


def results(predictions: pd.DataFrame, replicates: int = 2000, seed: int = 0) -> pd.DataFrame:
    """The rows of results.csv, one per cell, in the order in which the cells first appear.

    UAR and WA are pooled over folds per seed, then averaged over seeds, in [0, 1]. Intervals are percentiles
    of a bootstrap over speakers (all rows and seeds of a drawn speaker together), as far out as makes 95 % of
    a mean of so few: the 0.9th and 99.1st of ten speakers, near the 2.5th and 97.5th of many. Of
    fewer than six speakers they reach as far as Student's t times the bootstrap's deviation.
    Rows without an amount are those whose settings, the amount among them, were chosen on inner folds; they
    are compared with the chosen `real`, and where there are any only they are tested.
    `delta_*` is the difference to the arm `real` with the same classifier and normalisation, on the speakers
    and seeds that both have and with the same speakers drawn for both. `p_value` is two-sided, from swapping
    the two arms' predictions speaker by speaker: every pattern of swaps up to 12 speakers, else 10,000 random
    ones and the observed one. Holm-corrected over the table. NaN where there is nothing to compare, and
    intervals are NaN with fewer than two speakers.

    Args:
      predictions: the columns of predictions.csv.
      replicates: bootstrap replicates.
      seed: of the bootstrap's and the swap test's draws.
    Raises:
      UserError: a column is missing or there are no rows.
    Source: Field and Welsh, "Bootstrapping clustered data", JRSS B 69(3), 2007; Hesterberg, "What teachers
      should know about the bootstrap", The American Statistician 69(4), 2015 (the percentiles); Noreen,
      "Computer-intensive methods for testing hypotheses", 1989; Holm, "A simple sequentially rejective
      multiple test procedure", Scand. J. Statist. 6, 1979.
    """
    classes = classes_of(predictions)
    tallies = _tallies(predictions, classes)
    speakers = predictions["speaker"].nunique()
    weight_RxS = draw_speakers(speakers, replicates, seed)
    rows = [_row(cell, tally, _baseline(cell, tallies), weight_RxS, seed) for cell, tally in tallies.items()]
    table = pd.DataFrame(rows).assign(classes=len(classes))
    if table["amount"].isna().any():
        table.loc[table["amount"].notna(), "p_value"] = np.nan
    table["p_value"] = holm(table["p_value"].to_numpy(float))
    return table[list(RESULTS)]


def contrasts(predictions: pd.DataFrame, replicates: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Each arm that is a study's own against every other one with real rows, as in `results`.

    Its own is `real+wdiv`, or else `real+gan`, or else each of `real+wavegan` and `real+specgan`.
    Where amounts were chosen on inner folds only such rows are compared, else those of the largest amount
    that both arms have. Columns: a, b, classifier, point, normalisation, delta, delta_low, delta_high,
    p_value; p values are Holm-corrected over the table.
    """
    tallies = _tallies(predictions, classes_of(predictions))
    weight_RxS = draw_speakers(predictions["speaker"].nunique(), replicates, seed)
    chosen = any(math.isnan(cell.amount) for cell in tallies)
    kept = {c: t for c, t in tallies.items() if math.isnan(c.amount) == chosen and c.arm.startswith("real+")}
    own = next((arms for arms in _OWN if any(c.arm in arms for c in kept)), ())
    pairs: dict[tuple[Cell, str], tuple[Cell, Cell]] = {}
    for a, b in itertools.permutations(kept, 2):
        same = a._replace(arm="", amount=0.0) == b._replace(arm="", amount=0.0)
        first = a.arm in own and b.arm not in own[: own.index(a.arm) + 1]
        if first and same and (chosen or a.amount == b.amount):
            key = (a._replace(amount=0.0), b.arm)
            pairs[key] = max(pairs.get(key, (a, b)), (a, b), key=lambda pair: pair[0].amount)
    rows = []
    for a, b in pairs.values():
        found = _comparison(kept[a], kept[b], weight_RxS, seed)
        rows.append(
            {"a": a.arm, "b": b.arm, "classifier": a.classifier, "point": a.point}
            | {"normalisation": a.normalisation}
            | {name.replace("delta_uar", "delta"): value for name, value in found.items()}
        )
    table = pd.DataFrame(rows, columns=list(CONTRASTS))
    table["p_value"] = holm(table["p_value"].to_numpy(float))
    return table


def per_speaker(predictions: pd.DataFrame) -> pd.DataFrame:
    """UAR and WA of each speaker in each cell, averaged over seeds, with the speaker's number of rows.

    Raises UserError as `results`.
    """
    frames = []
    for cell, tally in _tallies(predictions, classes_of(predictions)).items():
        frame = pd.DataFrame(
            {
                "speaker": sorted(predictions["speaker"].unique()),
                "rows": tally.total_SxQxC.sum(axis=2).max(axis=1).astype(int),
                "uar": _mean_seeds(_recall_mean(*tally)),
                "wa": _mean_seeds(_divide(tally.hits_SxQxC.sum(axis=-1), tally.total_SxQxC.sum(axis=-1))),
            }
        )
        frames.append(frame[frame["rows"] > 0].assign(**cell._asdict()))
    return pd.concat(frames, ignore_index=True)[[*CELL, "speaker", "rows", "uar", "wa"]]


def confusions(predictions: pd.DataFrame) -> dict[Cell, np.ndarray]:
    """Each cell's counts [C, C], pooled over folds and averaged over seeds; classes as in `classes_of`.

    Raises UserError as `results`.
    """
    classes = classes_of(predictions)
    return {
        cell: confusion(rows["truth"], rows["prediction"], classes) / rows["seed"].nunique()
        for cell, rows in _cells(predictions)
    }


def classes_of(predictions: pd.DataFrame) -> list[str]:
    """The classes in the order of the p_ columns, or sorted where there are none.

    Raises UserError as `results`.
    """
    missing = [name for name in _NEEDED if name not in predictions.columns]
    if missing:
        raise UserError(f"predictions: no column {', '.join(map(repr, missing))}")
    if predictions.empty:
        raise UserError("predictions: no rows")
    named = [str(name)[2:] for name in predictions.columns if str(name).startswith("p_")]
    return named or sorted(set(predictions["truth"]) | set(predictions["prediction"]))


def classifier_name(word: str) -> str:
    """A classifier of predictions.csv as a reader knows it: "SVM", "DNN", others as they stand."""
    return word.upper() if word in ("svm", "dnn") else word


def draw_speakers(speakers: int, replicates: int, seed: int) -> np.ndarray:
    """How often each of `speakers` is drawn in each bootstrap replicate [replicates, speakers]."""
    drawn_RxS = np.random.default_rng(seed).integers(speakers, size=(replicates, speakers))
    offset_Rx1 = speakers * np.arange(replicates)[:, None]
    counts = np.bincount((drawn_RxS + offset_Rx1).ravel(), minlength=replicates * speakers)
    return counts.reshape(replicates, speakers).astype(float)


def swap_test(effect_S: np.ndarray, seed: int = 0) -> float:
    """Two-sided p value of the sum of `effect_S` when the sign of each speaker's share may be either.

    Exact up to 12 speakers; beyond, 10,000 random patterns and the observed one, which always counts.
    """
    speakers = len(effect_S)
    if speakers <= _EXACT_SPEAKERS:
        sign_PxS = 1 - 2 * (np.arange(2**speakers)[:, None] >> np.arange(speakers) & 1)
    else:
        rng = np.random.default_rng(seed)
        drawn_PxS = 1 - 2 * rng.integers(2, size=(_PATTERNS, speakers))
        sign_PxS = np.concatenate([np.ones((1, speakers), int), drawn_PxS])
    reached_P = np.abs(sign_PxS @ effect_S) >= abs(effect_S.sum()) - 1e-12  # rounding must not lose ties
    return float(reached_P.mean())


def holm(p_N: np.ndarray) -> np.ndarray:
    """Holm's step-down correction of p values; NaN stays NaN and does not count as a test."""
    tested = np.flatnonzero(~np.isnan(p_N))
    order = tested[np.argsort(p_N[tested], kind="stable")]
    steps = np.arange(len(order), 0, -1)
    corrected_N = np.full(len(p_N), np.nan)
    corrected_N[order] = np.minimum(np.maximum.accumulate(steps * p_N[order]), 1.0)
    return corrected_N


def _row(
    cell: Cell, tally: _Tally, real: _Tally | None, weight_RxS: np.ndarray, seed: int
) -> dict[str, float | str]:
    """One row of the results but for `classes`, its p value not corrected yet."""
    low, high = _interval(tally, weight_RxS)
    wa_low, wa_high = _interval(_Tally(*(c.sum(axis=2, keepdims=True) for c in tally)), weight_RxS)
    pooled = _Tally(tally.hits_SxQxC.sum(axis=0), tally.total_SxQxC.sum(axis=0))
    uar_Q = _recall_mean(*pooled)
    uar_Q = uar_Q[np.isfinite(uar_Q)]
    row = cell._asdict() | {
        "seeds": len(uar_Q),
        "uar": float(_mean_seeds(uar_Q)),
        "uar_low": low,
        "uar_high": high,
        "uar_sd": float(uar_Q.std(ddof=1)) if len(uar_Q) > 1 else float("nan"),
        "wa": float(_mean_seeds(_divide(pooled.hits_SxQxC.sum(axis=-1), pooled.total_SxQxC.sum(axis=-1)))),
        "wa_low": wa_low,
        "wa_high": wa_high,
    }
    return row | _comparison(tally, real, weight_RxS, seed)


def _comparison(tally: _Tally, real: _Tally | None, weight_RxS: np.ndarray, seed: int) -> dict[str, float]:
    """The difference to `real` with its interval and p value, on what both have."""
    none = dict.fromkeys(("delta_uar", "delta_low", "delta_high", "p_value"), float("nan"))
    if real is None:
        return none
    both_SxQ = (tally.total_SxQxC == real.total_SxQxC).all(axis=2) & (tally.total_SxQxC.sum(axis=2) > 0)
    arm, real = _only(tally, both_SxQ), _only(real, both_SxQ)
    total_QxC = arm.total_SxQxC.sum(axis=0)
    seeds = int((total_QxC.sum(axis=1) > 0).sum())
    if not seeds:
        return none
    # With equal rows in both arms the difference is a sum over speakers, so a swap flips a speaker's sign.
    share_QxC = _divide(1.0, total_QxC * (total_QxC > 0).sum(axis=1, keepdims=True), empty=0.0)
    effect_S = np.einsum("sqc,qc->s", arm.hits_SxQxC - real.hits_SxQxC, share_QxC) / seeds
    low, high = _interval(arm, weight_RxS, real)
    p_value = swap_test(effect_S[both_SxQ.any(axis=1)], seed)
    return {"delta_uar": float(effect_S.sum()), "delta_low": low, "delta_high": high, "p_value": p_value}


def _bootstrap(tally: _Tally, weight_RxS: np.ndarray, minus: _Tally | None = None) -> np.ndarray:
    """UAR of each replicate, or its difference to `minus`."""
    total_RxQxC = np.tensordot(weight_RxS, tally.total_SxQxC, 1)
    uar_RxQ = _recall_mean(np.tensordot(weight_RxS, tally.hits_SxQxC, 1), total_RxQxC)
    if minus is not None:
        uar_RxQ = uar_RxQ - _recall_mean(np.tensordot(weight_RxS, minus.hits_SxQxC, 1), total_RxQxC)
    return _mean_seeds(uar_RxQ)


def _interval(tally: _Tally, weight_RxS: np.ndarray, minus: _Tally | None = None) -> tuple[float, float]:
    """The ends of the interval of UAR, or of its difference to `minus`; NaN with fewer than two speakers.

    Fewer than six give a bootstrap too few different means for such percentiles: as far from the value as
    Student's t times their deviation.
    """
    speakers = int((tally.total_SxQxC.sum(axis=(1, 2)) > 0).sum())
    if speakers < 2:
        return float("nan"), float("nan")
    values_R = _bootstrap(tally, weight_RxS, minus)
    finite = values_R[np.isfinite(values_R)]  # a replicate may hold only speakers without rows
    if speakers < _FEW:
        value = float(_bootstrap(tally, np.ones((1, weight_RxS.shape[1])), minus)[0])
        half = reach_of(speakers) * float(finite.std())
        least = 0.0 if minus is None else -1.0
        return max(value - half, least), min(value + half, 1.0)
    tail = float(ndtr(-reach_of(speakers)))
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def reach_of(speakers: int) -> float:
    """How many deviations of bootstrap means of so many a 95 % interval reaches to each side.

    Means of draws spread too little, by (n - 1) / n in their variance, and Student's t asks for more than the
    normal distribution does. Source: Hesterberg 2015 (expanded percentiles).
    """
    return float(stdtrit(speakers - 1, 0.975)) * math.sqrt(speakers / (speakers - 1))


def _baseline(cell: Cell, tallies: dict[Cell, _Tally]) -> _Tally | None:
    """The tally of `real` that a cell is compared with; none for `real` itself."""
    if cell.arm == "real":
        return None
    wanted = (cell.classifier, cell.normalisation)
    found = [
        c
        for c in tallies
        if c.arm == "real"
        and (c.classifier, c.normalisation) == wanted
        and math.isnan(c.amount) == math.isnan(cell.amount)
    ]
    return tallies[min(found, key=lambda c: (c.point, c.amount))] if found else None


def _only(tally: _Tally, keep_SxQ: np.ndarray) -> _Tally:
    return _Tally(tally.hits_SxQxC * keep_SxQ[..., None], tally.total_SxQxC * keep_SxQ[..., None])


def _cells(predictions: pd.DataFrame) -> Iterator[tuple[Cell, pd.DataFrame]]:
    for values, rows in predictions.groupby(list(CELL), sort=False, dropna=False):
        arm, classifier, amount, point, normalisation = values  # type: ignore[misc]
        yield Cell(str(arm), str(classifier), float(amount), int(point), str(normalisation)), rows


def _tallies(predictions: pd.DataFrame, classes: list[str]) -> dict[Cell, _Tally]:
    """Counts per cell; speakers and seeds of all predictions in sorted order, 0 where a cell has no rows."""
    speaker_N, speakers = pd.factorize(predictions["speaker"], sort=True)
    seed_N, seeds = pd.factorize(predictions["seed"], sort=True)
    shape = (len(speakers), len(seeds), len(classes))
    label_N, guess_N = _codes(predictions["truth"], classes), _codes(predictions["prediction"], classes)
    place_N = np.ravel_multi_index((speaker_N, seed_N, label_N), shape)
    coded = predictions[list(CELL)].assign(place=place_N, hit=label_N == guess_N)
    tallies = {}
    for cell, rows in _cells(coded):
        place = rows["place"].to_numpy()
        counts = [
            np.bincount(place, weights=weight, minlength=int(np.prod(shape))).reshape(shape).astype(float)
            for weight in (rows["hit"].to_numpy(float), None)
        ]
        tallies[cell] = _Tally(*counts)
    return tallies


def _codes(labels: Sequence, classes: Sequence) -> np.ndarray:
    """The place of every label in `classes`."""
    values = np.asarray(labels)
    codes = pd.Index(list(classes)).get_indexer(pd.Index(values))
    if (codes < 0).any():
        known = ", ".join(map(str, classes))
        raise UserError(f"label {values[np.argmax(codes < 0)]!r} is none of {known}")
    return codes


def _divide(a: np.ndarray | float, b: np.ndarray, empty: float = np.nan) -> np.ndarray:
    """a / b, `empty` where b is 0."""
    b = np.asarray(b, dtype=float)
    return np.divide(a, b, out=np.full(np.broadcast_shapes(np.shape(a), b.shape), empty), where=b > 0)


def _recall_mean(hits_C: np.ndarray, total_C: np.ndarray) -> np.ndarray:
    """Mean recall over the last axis, of classes that have rows; NaN where none has."""
    return _divide(_divide(hits_C, total_C, empty=0.0).sum(axis=-1), (total_C > 0).sum(axis=-1))


def _mean_seeds(value_Q: np.ndarray) -> np.ndarray:
    """Mean over the last axis, of seeds that have a value."""
    has_Q = np.isfinite(value_Q)
    return _divide(np.where(has_Q, value_Q, 0.0).sum(axis=-1), has_Q.sum(axis=-1))
