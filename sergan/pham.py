"""Tables IV to VI of Pham et al. 2021 with ours beside them, for runs on EMO-DB's recordings."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from sergan.run_folder import Run

SOURCE = (
    "Pham, Dang and Nguyen, “Hybrid data augmentation and deep attention-based dilated "
    "convolutional-recurrent neural networks for speech emotion recognition”, 2021, Tables IV to VI, with "
    "Chen et al. 2018 and Meng et al. 2019 in Table VI"
)
_SIZES = re.compile("^(small|tiny) ")
_KEYS = ["arm", "classifier"]


def beside(run: Run) -> pd.DataFrame:
    """The papers' rows of every table that the run has something of, with ours, in per cent.

    Columns table, arm, classifier, protocol, measure, value, sd and source are the papers'; ours are
    our_protocol, our_accuracy and our_sd, mean and deviation over folds and seeds as the paper has them, and
    uar, low and high, pooled over folds. NaN where there is none; without rows for other corpora or classes.
    """
    published = _everything()
    if run.kind != "recordings" or run.corpus.get("name") != "emodb" or run.predictions is None:
        return published[:0]
    if len(set(run.predictions["truth"])) != 7 or run.results is None:
        return published[:0]
    both = published.merge(_ours(run), on=_KEYS, how="left")
    there = set(both[both["uar"].notna()]["table"])
    return both[both["table"].isin(there)]


def _ours(run: Run) -> pd.DataFrame:
    """Our numbers by the papers' words: a network of any size counts."""
    predictions, results = run.need("predictions"), run.need("results")
    right = (predictions["truth"] == predictions["prediction"]).astype(float)
    each = right.groupby([predictions[name] for name in (*_KEYS, "seed", "fold")]).mean()
    folds = each.groupby(_KEYS).agg(our_accuracy="mean", our_sd="std").reset_index()
    pooled = results[[*_KEYS, "uar", "uar_low", "uar_high"]]
    pooled = pooled.rename(columns={"uar_low": "low", "uar_high": "high"})
    ours = folds.merge(pooled, on=_KEYS)
    numbers = ["our_accuracy", "our_sd", "uar", "low", "high"]
    ours[numbers] = 100 * ours[numbers].astype(np.float64)
    ours["network"] = ours["classifier"]
    ours["our_protocol"] = "speaker-dependent" if run.protocol == "clip" else "speaker-independent"
    ours["classifier"] = [_SIZES.sub("", name) for name in ours["classifier"]]
    return ours


@cache
def _everything() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).parent / "data" / "published_pham.csv")
