"""Tables 1 to 3 of Bao et al. 2019 with ours beside them, for runs on the same corpora and classes."""

from functools import cache
from pathlib import Path

import pandas as pd

from sergan.run_folder import Run

SOURCE = (
    "Bao, Neumann and Vu, “CycleGAN-based emotion style transfer as data augmentation for speech emotion "
    "recognition”, Interspeech 2019, Tables 1 to 3, and what they quote of Sahu, Gupta and Espy-Wilson, “On "
    "enhancing speech emotion recognition using generative adversarial networks”, Interspeech 2018"
)
_CLASSES = {"anger", "happiness", "neutral", "sadness"}
_PROTOCOLS = {"": "session", "msp_improv": "across"}  # by the corpus that is tested on
_KEYS = ["measure", "arm", "lambda_cls"]


def beside(run: Run) -> pd.DataFrame:
    """The paper's numbers for the run's corpora, each with ours that are like it.

    Columns measure, arm, lambda_cls, value, sd and source are the paper's; ours are loss ("gan", which the
    paper's is, or "wdiv"), normalisation, our_value, our_sd, low and high, NaN where there is none. UAR is in
    per cent, of the DNN, its deviation over seeds; without rows for a run on other corpora, classes or folds.
    """
    published = _everything()
    same = (published["corpus"] == run.corpus.get("name", "")) & (published["target"] == run.target)
    if set(run.corpus.get("classes", ())) != _CLASSES or _PROTOCOLS.get(run.target) != run.protocol:
        return published[:0]
    return published[same].merge(_ours(run), on=_KEYS, how="left").drop(columns=["corpus", "target"])


def _ours(run: Run) -> pd.DataFrame:
    """Our numbers by the paper's keys, W-div's CycleGANs as another loss of the same arms."""
    frames = [_uar(run), _transfer(run)]
    frame = pd.concat([part for part in frames if len(part)] or frames, ignore_index=True)
    kind = frame["arm"].str.removeprefix("real+")
    trained = kind.isin(["gan", "wdiv"])
    frame["loss"] = kind.where(trained, "")
    frame["lambda_cls"] = frame["point"].map(_lambda_cls(run)).where(trained)
    frame["arm"] = frame["arm"].str.replace("wdiv", "gan")
    return frame.drop(columns="point")


def _uar(run: Run) -> pd.DataFrame:
    """The DNN's rows of results.csv: of a sweep each point at its largest amount, else what was chosen."""
    rows = run.need("results")
    rows = rows[rows["classifier"] == "dnn"]
    if run.points is not None:
        rows = rows[rows["amount"].notna()]
    rows = rows.sort_values("amount", na_position="last")
    rows = rows.drop_duplicates(["arm", "point", "normalisation"], keep="last")
    ours = rows.reindex(columns=["arm", "point", "normalisation"]).assign(measure="uar")
    names = {"our_value": "uar", "our_sd": "uar_sd", "low": "uar_low", "high": "uar_high"}
    percent = 100 * rows.reindex(columns=list(names.values()))
    return pd.concat([ours, percent.set_axis(list(names), axis=1)], axis=1)


def _transfer(run: Run) -> pd.DataFrame:
    """How far the means of source and synthetic rows are from the target's, over folds, seeds, emotions."""
    if run.quality is None or run.quality.empty:
        return pd.DataFrame()
    frame = run.quality
    only = next((line["arm"] for line in run.members if "arm" in line), "")
    frame = frame.assign(arm=frame["arm"].replace("", only))
    synthetic = frame.groupby(["arm", "point", "normalisation"], sort=False)["target_synthetic"].mean()
    source = frame.groupby("normalisation", sort=False)["target_source"].mean()
    return pd.concat(
        [
            synthetic.rename("our_value").reset_index().assign(measure="target_synthetic"),
            source.rename("our_value").reset_index().assign(measure="target_source", arm="", point=0),
        ]
    )


def _lambda_cls(run: Run) -> dict[int, float]:
    """Each sweep point's lambda_cls, or the config's."""
    fixed = float(run.record.get("config", {}).get("hypers", {}).get("lambda_cls", "nan"))
    if run.points is None or "lambda_cls" not in run.points:
        points = [0] if run.points is None else run.points["point"]
        return dict.fromkeys(map(int, points), fixed)
    return dict(zip(run.points["point"].astype(int), run.points["lambda_cls"].astype(float), strict=True))


@cache
def _everything() -> pd.DataFrame:
    path = Path(__file__).parent / "data" / "published_bao.csv"
    words = {name: "" for name in ("target", "arm")}
    return pd.read_csv(path).fillna(words)
