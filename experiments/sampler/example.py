"""EMO-DB, leave one speaker out: an SVM's pipeline with the sampler in it and without.

python -m experiments.sampler.example [--per_class=200] [--epochs=200] [--C=0.001] [--out=FILE.csv]
"""

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sergan import CycleGANSampler, data, metrics, writers
from sergan.corpora.tables import FeatureTable

CLASSES = ("anger", "fear", "happiness", "neutral", "sadness")


def main(argv: Sequence[str] | None = None) -> pd.DataFrame:
    """Prints and returns UAR, pooled over the folds, with intervals over speakers."""
    parser = argparse.ArgumentParser(prog="python -m experiments.sampler.example", description=__doc__)
    parser.add_argument("--per_class", type=int, default=200, help="rows of each class, real and synthetic")
    parser.add_argument("--epochs", type=int, default=200, help="of the CycleGANs")
    parser.add_argument(
        "--C", type=float, default=1e-3, help="of the SVM on real rows; with more rows it is less"
    )
    parser.add_argument("--out", help="also write the table to this csv file")
    settings = parser.parse_args(argv)
    everything, speech = data.load("emodb", "IS10"), data.load("speech", "IS10")
    corpus = everything.select(np.isin(everything.emotions_U, CLASSES))
    sampler = CycleGANSampler(
        speech.x_UxD,
        sampling_strategy=dict.fromkeys(CLASSES, settings.per_class),
        epochs=settings.epochs,
        random_state=0,
    )
    real = len(corpus.ids_U) * (1 - 1 / len(set(corpus.speakers_U.tolist())))  # rows of a fold, on average
    models = {
        "real": Pipeline(_judge(settings.C)),
        "real+wdiv": Pipeline(
            [("sampler", sampler), *_judge(settings.C * real / (len(CLASSES) * settings.per_class))]
        ),
    }
    table = metrics.results(pd.concat(_predictions(name, model, corpus) for name, model in models.items()))
    print("UAR in per cent, 95 % intervals over speakers")
    for row in table.itertuples():
        print(f"{row.arm:10} {100 * row.uar:.1f} [{100 * row.uar_low:.1f}, {100 * row.uar_high:.1f}]")
    last = table.iloc[-1]
    low, high = 100 * last["delta_low"], 100 * last["delta_high"]
    print(f"difference {100 * last['delta_uar']:+.1f} [{low:+.1f}, {high:+.1f}]")
    if settings.out:
        writers.write_frame(settings.out, table.round(6))
    return table


def _judge(c: float) -> list[tuple[str, object]]:
    """Scaler and SVM; C times the number of rows is to be the same for both models."""
    return [("scaler", StandardScaler()), ("svm", SVC(C=c, kernel="linear", class_weight="balanced"))]


def _predictions(arm: str, model: Pipeline, corpus: FeatureTable) -> pd.DataFrame:
    """What the model says of each clip when its speaker is left out, as in predictions.csv."""
    held_out, splitter = corpus.speakers_U, LeaveOneGroupOut()
    said = cross_val_predict(model, corpus.x_UxD, corpus.emotions_U, groups=held_out, cv=splitter)
    return pd.DataFrame(
        {
            "arm": arm,
            "classifier": "svm",
            "amount": 0.0,
            "point": 0,
            "normalisation": "train",
            "id": corpus.ids_U,
            "speaker": held_out,
            "fold": pd.factorize(held_out, sort=True)[0],
            "seed": 0,
            "truth": corpus.emotions_U,
            "prediction": said,
        }
    )


if __name__ == "__main__":
    main()
