"""A config of a study on recordings with everything that follows from it: clips, folds, GANs, classifiers."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from etils import epath

from experiments import ranges
from experiments.classes import chosen_classes
from experiments.clips.checks import check
from sergan import clips, folds, inputs, mapping, nets, shifts, writers
from sergan.classifiers.adcrnn import LOSSES, AdcrnnSettings
from sergan.corpora import CORPORA, audformat, clip_table, prepared, tables
from sergan.corpora.recordings import Recording
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError
from sergan.folds import Fold
from sergan.nets.sound import KINDS
from sergan.sounds import SoundConfig

_WORDS = re.compile(
    rf"((?P<size>{'|'.join(nets.SIZES)}) )?(?P<network>\w+) (?P<loss>\w+)(?P<without> without attention)?"
)


@dataclass(frozen=True)
class SoundMember:
    """One GAN that makes clips of `emotions`: of one class, or of all by their labels."""

    index: int
    gan: SoundConfig
    fold: int
    seed: int
    emotions: tuple[str, ...]

    @property
    def arm(self) -> str:
        """The arm that it makes clips for."""
        return self.gan.kind

    @property
    def steps(self) -> int:
        """Of its training."""
        return self.gan.steps


@dataclass(frozen=True)
class Study:
    """The resolved study: `clips` are the samples of the rows of `corpus`, whose feature is the length."""

    config: Any
    classes: tuple[str, ...]
    corpus: FeatureTable
    clips: list[np.ndarray]
    folds: list[Fold]
    members: list[SoundMember]
    classifiers: dict[str, AdcrnnSettings]

    @property
    def arms(self) -> tuple[str, ...]:
        """What real clips are joined by."""
        return tuple(self.config.arms)

    @cached_property
    def label_U(self) -> np.ndarray:
        """The corpus's emotions as places in `classes`."""
        return np.array([self.classes.index(emotion) for emotion in self.corpus.emotions_U])

    def missing(self, fold: Fold) -> np.ndarray:
        """Clips [C] to be made of each class in a fold."""
        return missing(self.config, self.label_U, fold, self.classes)


def prepare(config: Any, progress: Callable[[int, int], None] | None = None) -> Study:
    """Everything before work: reads the clips, makes folds and members, and checks all of it.

    Raises:
      UserError: whatever the user can mend, before anything is trained or written.
    """
    check(config)
    classifiers(config, classes=2)
    found = recordings(config)
    assemble(config, clips.labels(found, np.zeros(len(found), np.float32)), [])
    samples, corpus = clips.read(found, config.loudness, progress)
    if "pitch_shift" in config.arms:
        _check_window(config.shifts.fft, samples, found)
    if set(config.arms) & set(KINDS):
        _tell_of_silence(config.sound.samples, samples)
    if config.protocol != "clip":  # whose folds keep copies together
        inputs.tell_copies(corpus, samples)
    return assemble(config, corpus, samples)


def _check_window(fft: int, samples: list[np.ndarray], found: list[Recording]) -> None:
    """Raises UserError for clips that the phase vocoder's window does not fit into."""
    short = [f"{one.path}" for one, x_T in zip(found, samples, strict=True) if len(x_T) < fft]
    if short:
        raise UserError(
            f"{len(short)} clips are shorter than config.shifts.fft={fft} samples (first {short[0]}); make "
            "it smaller, leave the clips out, or leave pitch_shift out of config.arms"
        )


def _tell_of_silence(slice_samples: int, samples: list[np.ndarray]) -> None:
    """Says on stderr how many clips GANs see with silence at their end, since a slice is longer."""
    short = sum(len(x_T) < slice_samples for x_T in samples)
    if short:
        print(
            f"config.sound.samples={slice_samples}: {short} of {len(samples)} clips are shorter, and end in "
            "silence for the GANs",
            file=sys.stderr,
        )


def recordings(config: Any, files: bool = True) -> list[Recording]:
    """The recordings of the corpus's classes, under their names of `config.corpus.labels`.

    Logs how a copy of the corpus differs from the published one. With `files` those of a table have to be
    there.

    Raises:
      UserError: there are none, or whatever is wrong with them that their names and labels show.
    """
    spec = config.corpus
    inputs.check_corpus(spec.name, spec.root, spec.table, "corpus")
    if spec.root.startswith(prepared.PREFIX):
        raise UserError(
            f"config.corpus.root={spec.root}: is for studies on features; name a folder of recordings"
        )
    columns = mapping.parse(spec.columns, "corpus.columns")
    inputs.check_use(columns, spec.name, spec.table, "corpus")
    if spec.table:
        found = clip_table.read(spec.table, columns, labelled=True, files=files)
    elif not spec.root:
        raise UserError(_nowhere(spec.name))
    elif spec.name == "audformat":
        found = audformat.read(spec.root, columns)
    else:
        found = CORPORA[spec.name].read(Path(spec.root).expanduser())
        inputs.tell_differences(spec.name, spec.root, found)
    names = mapping.parse(spec.labels, "corpus.labels")
    table = clips.labels(found, np.zeros(len(found), np.float32))
    mapping.check(table, names, "corpus.labels")
    emotions = mapping.renamed(table, names).emotions_U.tolist()
    classes = _classes(config, emotions)
    return [
        replace(one, emotion=emotion)
        for one, emotion in zip(found, emotions, strict=True)
        if emotion in classes
    ]


def assemble(config: Any, corpus: FeatureTable, samples: list[np.ndarray]) -> Study:
    """Folds, members and classifiers for clips whose labels are known."""
    classes = _classes(config, corpus.emotions_U.tolist())
    splits = _splits(config, corpus, classes, samples)
    label_U = np.array([classes.index(emotion) for emotion in corpus.emotions_U])
    for fold in splits:
        missing(config, label_U, fold, classes)
    planned = _members(config, splits, classes)
    named = classifiers(config, len(classes))
    return Study(config, classes, corpus, samples, splits, planned, named)


def missing(config: Any, label_U: np.ndarray, fold: Fold, classes: tuple[str, ...]) -> np.ndarray:
    """Clips [C] to be made of each class for the training clips of a fold."""
    balance = config.balance
    label_R = label_U[fold.train_R]
    largest = classes[int(np.bincount(label_R, minlength=len(classes)).argmax())]
    return shifts.missing(label_R, classes, balance.factor or None, balance.reference or largest)


def classifiers(config: Any, classes: int) -> dict[str, AdcrnnSettings]:
    """Networks and losses by the words of `config.classifiers`, like "adcrnn L_f1 without attention".

    Raises:
      UserError: there are none, one is there twice, or no such network or loss.
    """
    named: dict[str, AdcrnnSettings] = {}
    spec = config.adcrnn
    for words in config.classifiers:
        found = _WORDS.fullmatch(words)
        if not found or found["network"] not in nets.VARIANTS or found["loss"] not in LOSSES:
            raise UserError(
                f"config.classifiers: {words!r} is no network with its loss, like 'adcrnn L_f1', 'small "
                f"adcrnn L_f4' or 'adcrnn L_f1 without attention'; sizes: {', '.join(nets.SIZES)}; networks: "
                f"{', '.join(nets.VARIANTS)}; losses: {', '.join(LOSSES)}"
            )
        if words in named:
            raise UserError(f"config.classifiers names {words!r} twice")
        more = {"dropout": spec.dropout, "precision": spec.precision, "attention": not found["without"]}
        named[words] = AdcrnnSettings(
            net=nets.variant(found["network"], classes, found["size"] or "", **more),
            steps=spec.steps,
            loss=found["loss"],
            center_weight=spec.center_weight,
            contrastive_weight=spec.contrastive_weight,
            center_rate=spec.center_rate,
            learning_rate=spec.learning_rate,
            decay=spec.decay,
            batch_size=spec.batch_size,
            mask_frames=spec.mask_frames,
            mask_filters=spec.mask_filters,
        )
    if not named:
        raise UserError("config.classifiers is empty; name a network and a loss, like 'adcrnn L_f1'")
    return named


def _nowhere(name: str) -> str:
    where = "EMO-DB is at http://emodb.bilderbar.info (535 wav files); " if name == "emodb" else ""
    return (
        f"config.corpus.root is empty, and this study needs recordings: {where}name the folder of {name} as "
        "distributed with --config.corpus.root=DIR, or your own clips with --config.corpus.table=FILE.csv"
    )


def _classes(config: Any, emotions: list[str]) -> tuple[str, ...]:
    present = sorted(set(emotions) - {""})
    return chosen_classes(config.corpus.classes, present, "no clip has the emotion")


def _splits(
    config: Any, corpus: FeatureTable, classes: tuple[str, ...], samples: list[np.ndarray]
) -> list[Fold]:
    """The folds of `config.protocol`; without samples clips are taken for different ones."""
    if config.protocol == "speaker":
        return folds.loso(corpus, classes)
    if config.protocol == "speaker_groups":
        return folds.speaker_groups(corpus, config.groups, classes)
    first_U = tables.first_equal(samples) if samples else np.arange(len(corpus.ids_U))
    return folds.clips(corpus, config.groups, classes, first_U)


def _members(config: Any, splits: list[Fold], classes: tuple[str, ...]) -> list[SoundMember]:
    """All GANs, those of an arm one after another."""
    sound, planned = config.sound, list[SoundMember]()
    targets = [classes] if sound.conditional else [(emotion,) for emotion in classes]
    for kind in (arm for arm in KINDS if arm in config.arms):
        for seed in range(sound.seeds):
            for fold in splits:
                for emotions in targets:
                    gan = gan_config(config, kind, len(emotions))
                    planned.append(SoundMember(len(planned), gan, fold.index, seed, emotions))
    return planned


def gan_config(config: Any, kind: str, classes: int) -> SoundConfig:
    """What is compiled of a GAN that makes clips."""
    sound = config.sound
    steps = sound[f"{kind}_steps"]
    counts = {f"sound.{kind}_steps": steps, "training.save_every": config.training.save_every}
    ranges.multiples(counts, config.training.log_every)
    return SoundConfig(
        kind=kind,
        classes=classes,
        samples=sound.samples,
        size=sound.size,
        loss=sound.loss,
        penalty=sound.penalty,
        penalty_k=sound.penalty_k,
        penalty_p=sound.penalty_p,
        batch_size=sound.batch_size,
        critic_updates=sound.critic_updates,
        learning_rate=sound.learning_rate,
        adam_b1=sound.adam_b1,
        adam_b2=sound.adam_b2,
        shuffle=sound.shuffle,
        steps=steps,
        precision=sound.precision,
    )


def keep_clips(run: epath.Path, resolved: Study) -> None:
    """Writes clips.csv, which clips the run is of: GANs, made clips and predictions are of folds of these.

    Raises:
      UserError: it is there, and was written of others.
    """
    corpus, path = resolved.corpus, run / "clips.csv"
    columns = {"clip": corpus.ids_U, "speaker": corpus.speakers_U, "emotion": corpus.emotions_U}
    clips = pd.DataFrame(columns).assign(samples=[len(x_T) for x_T in resolved.clips]).astype(str)
    mean_U = np.array([np.mean(np.abs(x_T), dtype=np.float64) for x_T in resolved.clips])
    if not path.exists():
        writers.write_frame(path, clips.assign(amplitude=mean_U.round(7)))
    found = writers.read_frame(path, list(clips))
    kept = found.reindex(columns=list(clips)).fillna("")
    if kept.to_numpy().tolist() != clips.to_numpy().tolist():
        old, new = (set(map(tuple, frame.to_numpy().tolist())) for frame in (kept, clips))
        raise UserError(
            f"{path}: the run began with other clips: {len(old - new)} of {len(kept)} are gone or changed, "
            f"{len(new - old)} are new; name another folder with --workdir"
        )
    # Processors decode slightly differently. Older runs have no amplitudes.
    before_U = pd.to_numeric(found["amplitude"], errors="coerce") if "amplitude" in found else mean_U
    changed_U = ~np.isclose(before_U, mean_U, rtol=1e-3, atol=1e-6)
    if changed_U.any():
        raise UserError(
            f"{path}: the run began with other audio: {changed_U.sum()} of {len(kept)} clips have another "
            f"mean amplitude (first {clips['clip'][changed_U.argmax()]}); name another folder with --workdir"
        )
