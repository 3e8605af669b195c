"""How good the synthetic rows are, in numbers."""

import html

import pandas as pd

from sergan import cells, page, sweep
from sergan.run_folder import Run
from sergan.sections import head

_CLIPS = "A clip counts as a row: mean and deviation over its frames of the logarithm of each Mel filter."


def quality(run: Run) -> str:
    """How good the synthetic rows are, by every measure there is, and by emotion how near their means are."""
    frame = run.need("quality")
    names, several = cells.measures(frame), frame["arm"].nunique() > 1
    at_first, note = sweep.first(run, frame), sweep.note(run)
    folds = f"mean over {frame['fold'].nunique()} folds"
    parts = []
    if several or set(names) - {"target_synthetic", "target_source"}:
        table = cells.quality(frame, run.points)
        caption = head.protocol(run)
        caption += f"Real and synthetic rows: {folds}, all emotions and {measured_seeds(frame)}. "
        caption += "↑ higher, ↓ lower is better."
        caption += f" {_CLIPS}" if run.kind == "recordings" else ""
        parts.append(page.table(*table, caption, cells.firsts(table, 1), "dense"))
        meanings = (cells.MEASURES[name] for name in names)
        lines = (f"<li><b>{m.heading}</b>: {html.escape(m.meaning)}.</li>" for m in meanings)
        parts.append(f'<ul class="soft">{"".join(lines)}</ul>\n')
    if "target_synthetic" in names:
        begins = "; target to source is where the transfer starts" if "target_source" in names else ""
        caption = (
            f"{head.protocol(run)}Mean over features of the absolute difference of means, on "
            f"features min-max scaled to [0, 1]; {folds}. The nearer target to synthetic is to 0, the nearer "
            f"the synthetic rows are to the real ones of that emotion{begins}.{note}"
        )
        groups = [at_first]
        if several:
            groups = [part for _, part in at_first.groupby("normalisation", sort=False)]
        for part in groups:
            where = f"Normalisation {part['normalisation'].iloc[0]}. " if several else ""
            table = cells.transfer(part, "arm" if several else "normalisation")
            parts.append(page.table(*table, where + caption, [len(table.rows) - 1]))
            caption = "As above."
    return "".join(parts)


def measured_seeds(quality: pd.DataFrame) -> str:
    """Which seeds the means of quality.csv are over, in words: the differences of means may have more."""
    rest = [name for name in cells.measures(quality) if name not in cells.TRANSFER]
    measured = quality[quality[rest].notna().any(axis=1)]
    alike = "seed" not in quality or not rest or set(measured["seed"]) == set(quality["seed"])
    return "seeds" if alike else "seeds (of the first seed alone but for the differences of means)"
