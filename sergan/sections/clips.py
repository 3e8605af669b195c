"""What only a study on recordings has: the papers' tables, clips to look at and listen to."""

import html

import numpy as np
import pandas as pd
from etils import epath

from sergan import page, pham, sound_figures, writers
from sergan.cells import Cells, firsts
from sergan.clips import samples
from sergan.run_folder import Missing, Run
from sergan.sections import head

_WORDS = ("file", "emotion", "arm", "parent")


def beside(run: Run) -> str:
    """The papers' tables with ours; none for other corpora."""
    frame = pham.beside(run)
    if frame.empty:
        return ""
    header = ["Table", "Arm", "Network", "Source", "Protocol", "Measure", "Paper"]
    header += ["Our network", "Accuracy", "UAR", "[95 %]"]
    rows = []
    for row in frame.to_dict("records"):
        theirs = f"{row['value']:.2f}" + (f" ± {row['sd']:.2f}" if np.isfinite(row["sd"]) else "")
        words = [row[name] for name in ("table", "arm", "classifier", "source", "protocol", "measure")]
        ours = ["", "", "", ""]
        if np.isfinite(row["uar"]):
            spread = f" ± {row['our_sd']:.2f}" if np.isfinite(row["our_sd"]) else ""
            ours = [row["network"], f"{row['our_accuracy']:.2f}{spread}", f"{row['uar']:.1f}"]
            ours.append(f"[{row['low']:.1f}, {row['high']:.1f}]")
        rows.append([*words, theirs, *ours])
    caption = (
        f"Ours: {head.PROTOCOLS[run.protocol]} Accuracy: mean ± standard deviation over folds, as in the "
        "paper, in %; UAR pooled over folds, brackets: 95 % interval, bootstrap over speakers. The paper "
        "sets its own speaker-dependent numbers beside speaker-independent ones of others; the column "
        f"Protocol says which is which. {pham.SOURCE}."
    )
    table = Cells(header, rows, 6)
    return page.table(*table, caption, firsts(table, 1), "wrap")


def clips(run: Run) -> str:
    """Clips of every arm as pictures, and players for those of every class."""
    folder = run.folder / "examples"
    if not folder.exists():
        raise Missing("examples/ is not there yet: clips of every arm.")
    lines = writers.read_frame(folder / "metadata.csv", _WORDS)
    mel = writers.read_frame(folder / "mel.parquet")
    emotion = lines["emotion"].value_counts(sort=False).idxmax()
    shown = lines[lines["emotion"] == emotion]
    spectra = [mel[mel["file"] == file].drop(columns="file").to_numpy() for file in shown["file"]]
    arms = ", ".join(shown["arm"])
    picture = page.Picture(
        "clips.png",
        sound_figures.clips(shown["arm"].tolist(), [samples(folder / f) for f in shown["file"]], spectra),
        f"Waveform and log-Mel spectrogram of {emotion}, one clip each: {arms}.",
        f"{emotion.capitalize()}: {_shown(shown)}. Samples, full scale being 1, and 40 Mel filters of 300 Hz "
        "to 8 kHz.",
    )
    return page.show([picture], run.folder / "figures") + _players(folder, lines)


def _shown(lines: pd.DataFrame) -> str:
    """What the clips of a picture are, in words."""
    others = lines[lines["arm"] != "real"]
    words = [f"a training clip of the first fold ({lines['parent'].iloc[0]})"]
    words += ["copies of it"] * bool(others["parent"].notna().any())
    words += ["clips from noise"] * bool(others["parent"].isna().any())
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _players(folder: epath.Path, lines: pd.DataFrame) -> str:
    """A table with a player for each class and arm."""
    arms = list(dict.fromkeys(lines["arm"]))
    names = "".join(f"<th>{html.escape(arm)}</th>" for arm in arms)
    rows = []
    for emotion, part in lines.groupby("emotion", sort=False):
        files = dict(zip(part["arm"], part["file"], strict=True))
        cells = [
            page.player(folder / files[arm], f"{emotion}, {arm}") if arm in files else "" for arm in arms
        ]
        rows.append(f'<tr><td class="word">{html.escape(str(emotion))}</td>{_cells(cells)}</tr>')
    caption = "To be listened to: a real clip of each class, and what each arm made for that class first."
    return (
        f'<div class="wide"><table class="sounds"><caption><span>{caption}</span></caption>'
        f'<thead><tr><th class="word">Class</th>{names}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>\n"
    )


def _cells(contents: list[str]) -> str:
    return "".join(f"<td>{content}</td>" for content in contents)
