"""How networks on recordings learnt, and what picking a step on the held-out clips would have claimed."""

import pandas as pd

from sergan import figures, page
from sergan.cells import Cells, firsts
from sergan.run_folder import Run

_HEADER = ["Network", "Arm", "Training", "Held out", "Best step", "Looks", "Trained"]
_CAPTION = (
    "Shares of right answers, mean over folds and seeds, in %. Training: segments of the last steps, with "
    "dropout and made clips. Held out: clips of the test folds after the last step, of which all results "
    "are. Best step: the highest of each fold's looks at these clips, picked where it is reported on. "
    "Trained: folds times seeds, without those that diverged."
)


def learning(run: Run) -> str:
    """Learning curves, and the last step beside the best one of each fold; none without looks."""
    frame = run.need("learning")
    if "held_out" not in frame:
        return ""
    picture = page.Picture(
        "learning.png",
        figures.learning_curves(frame),
        "Right answers on training segments and on held-out clips over the training steps, per network.",
        "Mean over folds and seeds. Nothing is chosen by these curves: the last step is what counts.",
    )
    table = Cells(_HEADER, _rows(frame), 2)
    return page.show([picture], run.folder / "figures") + page.table(*table, _CAPTION, firsts(table, 1))


def _rows(frame: pd.DataFrame) -> list[list[str]]:
    """A row for each network and arm, of the folds and seeds that did not diverge."""
    rows = []
    for (classifier, arm), own in frame.groupby(["classifier", "arm"], sort=False):
        own = own.sort_values("step")
        ended = own.groupby(["fold", "seed"])["held_out"].transform(lambda held_out: held_out.iloc[-1])
        folds = own[ended.notna()].groupby(["fold", "seed"])
        shares = (folds["accuracy"].last(), folds["held_out"].last(), folds["held_out"].max())
        texts = [f"{100 * share.mean():.1f}" for share in shares]
        looks = folds["held_out"].count().max()
        rows.append([str(classifier), str(arm), *texts, str(looks), str(folds.ngroups)])
    return rows
