"""What papers report on EMO-DB for our arms, in per cent, and which of it may stand beside our numbers."""

from collections.abc import Collection
from functools import cache
from pathlib import Path

import pandas as pd

CORPUS = "emodb"
SOURCES = {
    "Shilandari 2022": "Shilandari, Marvi, Khosravi and Wang, “Speech emotion recognition using data "
    "augmentation method by cycle-generative adversarial networks”, Signal, Image and Video Processing 16, "
    "1955-1962, 2022, Table 1",
    "Chen 2018": "Chen, He, Yang and Zhang, “3-D convolutional recurrent neural networks with attention "
    "model for speech emotion recognition”, IEEE Signal Processing Letters 25(10), 1440-1444, 2018",
}
_PREPRINT = "Shilandari 2021"  # preprints.org 202104.0651, Table 2
_FIVE = {"anger", "fear", "happiness", "neutral", "sadness"}


def beside(classes: Collection[str]) -> dict[tuple[str, str], tuple[float, float]]:
    """(arm, classifier) -> (UAR, WA) of our arms, where the papers have exactly these classes."""
    rows = _numbers()[_ours(_numbers(), classes)]
    return {(row.arm, row.classifier): (row.uar, row.wa) for row in rows.itertuples()}


def apart(classes: Collection[str]) -> pd.DataFrame:
    """The other rows: other classes, or a system that is none of our arms."""
    return _numbers()[~_ours(_numbers(), classes)]


def preprint_note() -> str:
    """Where the preprint's numbers differ from the published ones, in words."""
    everything = _everything()
    printed = everything[everything["source"] == _PREPRINT]
    both = printed.merge(_numbers(), on=["arm", "classifier"], suffixes=("", "_published"))
    differences = [
        f"{name.upper()} {row[name]:.2f} instead of {row[f'{name}_published']:.2f} for {row['arm']} with "
        f"the {row['classifier'].upper()}"
        for row in both.to_dict("records")
        for name in ("wa", "uar")
        if row[name] != row[f"{name}_published"]
    ]
    return f"The preprint of 2021 gives {' and '.join(differences)}."


def _ours(rows: pd.DataFrame, classes: Collection[str]) -> pd.Series:
    """Which rows are of one of our arms and of the same classes."""
    same = set(classes) == _FIVE
    return same & (rows["classes"] == len(_FIVE)) & rows["arm"].str.startswith("real+")


def _numbers() -> pd.DataFrame:
    """The published rows, without the preprint's."""
    everything = _everything()
    return everything[everything["source"] != _PREPRINT]


@cache
def _everything() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).parent / "data" / f"published_{CORPUS}.csv")
