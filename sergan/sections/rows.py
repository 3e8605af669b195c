"""Real and synthetic rows as pictures: in two dimensions, and feature by feature."""

import html
from collections.abc import Sequence

import pandas as pd

from sergan import feature_figures, figures, page, samples, sweep
from sergan.run_folder import Missing, RowsFile, Run


def clusters(run: Run) -> str:
    """Real and synthetic rows in two dimensions, as pictures."""
    if not (run.folder / "features.parquet").exists():
        raise Missing("features.parquet is not there yet: the real rows.")
    groups: dict[str, list[RowsFile]] = {}
    for file in run.synthetic():
        groups.setdefault(file.normalisation, []).append(file)
    if not groups:
        raise Missing("No synthetic rows are there yet.")
    pictures, missing = [], []
    for files in map(samples.side_by_side, groups.values()):
        try:
            pictures.append(_arms_picture(run, files) if len(files) > 1 else _rows_picture(run, files[0]))
        except Missing as error:
            missing.append(error)
    return _shown(run, pictures, missing)


def features(run: Run) -> str:
    """Mean and deviation of the features, of one fold's rows of each normalisation and arm."""
    if not all((run.folder / f"{name}.parquet").exists() for name in ("features", "source")):
        raise Missing("features.parquet and source.parquet are not there yet: the real rows.")
    first = {(file.normalisation, file.arm): file for file in reversed(run.synthetic())}
    if not first:
        raise Missing("No synthetic rows are there yet.")
    pictures, missing = [], []
    for file in reversed(first.values()):
        try:
            table = samples.moments(run, file)
        except Missing as error:
            missing.append(error)
            continue
        kind = f"{file.arm}, {file.normalisation} normalisation".removeprefix(", ")
        pictures.append(
            page.Picture(
                f"features_{page.file_name(f'{file.normalisation}_{file.arm}'.strip('_'))}.png",
                feature_figures.moments(table),
                f"Mean and deviation of {feature_figures.SHOWN} features, and of all, for source, synthetic "
                f"and target rows, {kind}.",
                f"Fold {file.fold}, {kind}: means over the emotions, min-max scaled; what they differ by in "
                f"each emotion is in the quality of the synthetic rows.{sweep.note(run)}",
            )
        )
    return _shown(run, pictures, missing)


def _shown(run: Run, pictures: Sequence[page.Picture], missing: Sequence[Missing]) -> str:
    """Pictures, and a line for each that could not be drawn."""
    lines = [f'<p class="missing">{html.escape(str(error))}</p>\n' for error in missing]
    return page.show(pictures, run.folder / "figures") + "".join(lines)


def _rows_picture(run: Run, file: RowsFile) -> page.Picture:
    """Real and synthetic rows of one file."""
    sample, kind = samples.draw(run, [file]), file.normalisation
    return page.Picture(
        f"rows_{page.file_name(kind)}.png",
        figures.clusters(sample.x_NxD, sample.emotion_N, sample.real_N),
        f"Real and synthetic rows of fold {file.fold} in two dimensions by PCA and by t-SNE, coloured by "
        f"emotion, {kind} normalisation.",
        f"Fold {file.fold}, {kind} normalisation: {int(sample.real_N.sum())} real training rows "
        f"(filled) and {int((~sample.real_N).sum())} synthetic ones (crosses), equally many of each "
        "emotion as far as there are, z-normed on the real training rows. The synthetic rows come "
        "from the source speech or from noise, the target emotion gives the colour. t-SNE keeps "
        f"neighbourhoods, not distances.{sweep.note(run)}",
    )


def _arms_picture(run: Run, files: Sequence[RowsFile]) -> page.Picture:
    """Real rows and the synthetic rows of several arms in one embedding, a panel for each arm and emotion."""
    sample = samples.draw(run, files, samples.REAL_PER_CLASS)
    at_Nx2, method = figures.embed(sample.x_NxD)
    quality = None if run.quality is None else sweep.first(run, run.quality)
    titles = {
        (file.arm, emotion): f"{emotion}{_coverage(quality, file, emotion)}"
        for file in files
        for emotion in sorted(set(sample.emotion_N.tolist()))
    }
    file, arms = files[0], " and ".join(file.arm for file in files)
    return page.Picture(
        f"rows_{page.file_name(file.normalisation)}.png",
        figures.arm_clusters(at_Nx2, sample.emotion_N, sample.kind_N, titles),
        f"Real and synthetic rows of {arms}, fold {file.fold}, {file.normalisation} normalisation, in one "
        f"{method} of all of them; a row of panels for each arm, a panel for each emotion.",
        f"Fold {file.fold}, {file.normalisation} normalisation: one {method} of {int(sample.real_N.sum())} "
        f"real training rows and {int((~sample.real_N).sum())} synthetic ones of {arms}, z-normed on the "
        "real ones. Coloured: real rows of the emotion; grey: of the others; crosses: synthetic rows of the "
        "emotion. Coverage: share of real rows with a synthetic row in their neighbourhood, in all features. "
        f"Such a picture keeps neighbourhoods, not distances.{sweep.note(run)}",
    )


def _coverage(quality: pd.DataFrame | None, file: RowsFile, emotion: str) -> str:
    """Coverage of an emotion by the synthetic rows of a file, in words; none where it was not measured."""
    if quality is None or "coverage" not in quality:
        return ""
    key = {"normalisation": file.normalisation, "arm": file.arm, "fold": file.fold, "seed": file.seed}
    names = [*key, "emotion"]
    rows = quality[(quality[names] == [*key.values(), emotion]).all(axis=1)]
    value = rows["coverage"].mean()
    return "" if pd.isna(value) else f"\ncoverage {value:.2f}"
