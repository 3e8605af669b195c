"""What a classifier says of held-out clips, as lines of predictions.csv."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sergan.classifiers.tasks import Answer
from sergan.corpora.tables import FeatureTable


def lines(
    name: str,
    corpus: FeatureTable,
    test_R: np.ndarray,
    classes: tuple[str, ...],
    answer: Answer,
    cell: Mapping[str, Any],
) -> pd.DataFrame:
    """A line for each of the rows `test_R` of the corpus `name`.

    Args:
      cell: fold, seed, point, arm, amount, classifier and normalisation of all of them.
    """
    order = ("fold", "seed", "point", "arm", "amount", "classifier", "normalisation")
    frame = pd.DataFrame(
        {"corpus": name, "id": corpus.ids_U[test_R], "speaker": corpus.speakers_U[test_R]}
        | {key: cell[key] for key in order}
        | {"truth": corpus.emotions_U[test_R], "prediction": np.array(classes)[answer.label_R]}
    )
    probability_RxC = answer.probability_RxC
    if probability_RxC is None:
        probability_RxC = np.full((len(frame), len(classes)), np.nan)
    for c, emotion in enumerate(classes):
        frame[f"p_{emotion}"] = probability_RxC[:, c].astype(float).round(6)
    return frame
