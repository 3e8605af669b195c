"""UAR of each speaker, and the confusions of each arm."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sergan import cells, comparison, figures, metrics, page, sweep
from sergan.run_folder import Run
from sergan.sections import head


def speakers(run: Run) -> str:
    """UAR of each speaker with each arm, as tables."""
    predictions, note = _detailed(run)
    parts = metrics.per_speaker(predictions)
    tables = []
    for normalisation, part in parts.groupby("normalisation", sort=False):
        arms = part[["classifier", "arm", "amount", "point"]].drop_duplicates()
        whose = "speaker, who also trains" if run.protocol == "clip" else "held-out speaker"
        caption = f"UAR in % of each {whose}, {normalisation} normalisation, mean over seeds."
        caption += sweep.counting_note(run)
        tables.append(page.table(*cells.speakers(part, arms), caption))
    return note + "".join(tables)


def confusions(run: Run) -> str:
    """Confusion matrices of each arm, as pictures."""
    predictions, note = _detailed(run)
    classes = metrics.classes_of(predictions)
    groups: dict[tuple[str, str], dict[metrics.Cell, np.ndarray]] = {}
    for cell, counts_CxC in metrics.confusions(predictions).items():
        groups.setdefault((cell.normalisation, cell.classifier), {})[cell] = counts_CxC
    pictures = [
        page.Picture(
            f"confusion_{page.file_name(normalisation)}_{page.file_name(classifier)}.png",
            figures.confusions(counts, classes),
            f"Confusion matrices of {classifier}, {normalisation} normalisation, one for each arm. "
            + " ".join(
                f"{cell.arm}: {_recalls(counts_CxC, classes)}." for cell, counts_CxC in counts.items()
            ),
            f"{head.protocol(run)}{metrics.classifier_name(classifier)}, {normalisation} "
            "normalisation: % of the rows of each true class, pooled over folds, mean over seeds."
            f"{sweep.counting_note(run)}",
        )
        for (normalisation, classifier), counts in groups.items()
    ]
    return note + page.show(pictures, run.folder / "figures")


def _detailed(run: Run) -> tuple[pd.DataFrame, str]:
    """The predictions shown in detail, and a note of what they are: all, or the chosen ones of a few arms."""
    predictions = sweep.first(run, run.need("predictions"))
    if not comparison.has_choice(predictions):
        return predictions, ""
    chosen = predictions[predictions["amount"].isna()]
    arms = comparison.main_arms(list(dict.fromkeys(chosen["arm"])))
    note = f"{sweep.chosen(run).capitalize()} chosen on inner folds; other arms are in predictions.csv."
    note = f'<p class="soft">{note}</p>\n'
    return comparison.in_order(chosen[chosen["arm"].isin(arms)]), note


def _recalls(counts_CxC: np.ndarray, classes: Sequence[str]) -> str:
    """Per cent recalled of each class, in words."""
    right_C, total_C = np.diagonal(counts_CxC), counts_CxC.sum(axis=1)
    shares = [
        f"{name} {100 * r / n:.0f} %" for name, r, n in zip(classes, right_C, total_C, strict=True) if n
    ]
    return "recognised are " + ", ".join(shares)
