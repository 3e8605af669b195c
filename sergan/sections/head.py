"""What a run is, above all sections: its title, what it does in a paragraph, its folds in words."""

import html

from sergan.run_folder import Run

PROTOCOLS = {
    "clip": "Speaker-dependent: folds are random, and the speakers of the clips that are tested also train.",
    "speaker": "Speaker-independent: one speaker is left out at a time.",
    "speaker_groups": "Speaker-independent: one group of speakers is left out at a time.",
}
FOLDS = {  # of a study on features, by its protocol
    "speaker": "one speaker is left out at a time",
    "speaker_groups": "one group of speakers is left out at a time",
    "session": "one session is left out at a time, with its speakers",
    "speaker_text": "clips of one speaker and one text are tested, and neither of the two trains",
    "across": "one corpus trains and another is tested",
}


def opening(run: Run) -> str:
    """The title, when it ran, and what it does in a paragraph, as HTML."""
    config = run.record.get("config", {})
    about = [f"Run folder {run.folder.name}"]
    if run.record.get("started"):
        about.append(f"started {run.record['started']}")
    about.append(f"ended {run.record['ended']}" if run.record.get("ended") else "not finished yet")
    what = (
        _about_recordings(run)
        if run.kind == "recordings"
        else _about_features(config.get("source"), run.protocol)
    )
    return (
        f"<h1>{html.escape(title(run))}</h1>\n"
        f'<p class="soft">{html.escape("; ".join(about))}.</p>\n<p class="soft">{what}</p>'
    )


def protocol(run: Run) -> str:
    """Whether speakers who are tested also train, to be put before a table's caption; empty for features."""
    return f"{PROTOCOLS[run.protocol].partition(':')[0]}. " if run.kind == "recordings" else ""


def title(run: Run) -> str:
    """What the run is about, and on which corpus."""
    name = " to ".join(str(name) for name in (run.corpus.get("name", ""), run.target) if name)
    what = "made clips" if run.kind == "recordings" else "synthetic speech features"
    return f"Emotion recognition with {what}{': ' + name if name else ''}"


def _about_features(source: str | None, protocol: str) -> str:
    """What a study on features does, in a paragraph."""
    what = f"Rows of the source “{source}” are transferred to each emotion by CycleGANs. " if source else ""
    return (
        f"{html.escape(what)}Arms: <b>real</b> trains the classifier on real rows, an arm "
        "<b>real+x</b> on real and synthetic rows, <b>x</b> on synthetic rows alone. Normalisation "
        "<b>train</b> uses the training speakers only; <b>speaker</b> uses all rows of each speaker, "
        "unlabelled, the held-out one included; <b>corpus</b> likewise all rows of each corpus. UAR: "
        f"unweighted average recall, pooled over the folds. Folds: {FOLDS[protocol]}."
    )


def _about_recordings(run: Run) -> str:
    """What a study on recordings does, in a paragraph."""
    config = run.record.get("config", {})
    loudness = {"kept": "as recorded", "normalised": "brought to one level"}[config.get("loudness", "kept")]
    return (
        f"{PROTOCOLS[run.protocol]} The split comes first: clips are made of training clips, or by GANs "
        f"that heard no other. Loudness: {loudness}. Arms: <b>real</b> trains on real clips, "
        "<b>real+x</b> on real and made ones, in the same number of gradient steps: <b>duplicate</b> "
        "repeats clips of the smaller classes, <b>time_shift</b> and <b>pitch_shift</b> shift such copies, "
        "<b>wavegan</b> and <b>specgan</b> make clips from noise. UAR: unweighted average recall, pooled "
        "over the folds; of each class a clip's posterior is the largest over its segments."
    )
