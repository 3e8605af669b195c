"""A config with everything that follows from it before any work: rows, folds, networks, members."""

import sys
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from etils import epath

from experiments import points, ranges
from experiments.checks import check
from experiments.classes import chosen_classes
from experiments.points import Point
from sergan import adversarial, augment, features, folds, inputs, logmel, mapping, members
from sergan.corpora import CORPORA, tables, texts
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError
from sergan.features import Extraction
from sergan.folds import Fold
from sergan.gan import LOSSES, GanConfig, steps_per_epoch
from sergan.members import Member, View
from sergan.methods import METHODS, reads
from sergan.state import Hypers


@dataclass(frozen=True)
class Study:
    """The resolved study.

    `corpus` holds the rows of `classes` only, `source` the unlabelled rows S; `inner` are the folds on which
    settings are chosen, none where nothing is; `points` are the sweep's, one empty point without a sweep;
    `members` are all CycleGANs that are to be trained; `unused` are the corpora's other rows, as those of
    other emotions.
    """

    config: Any
    classes: tuple[str, ...]
    corpus: FeatureTable
    source: FeatureTable
    folds: list[Fold]
    inner: list[Fold]
    points: list[Point]
    members: list[Member]
    unused: FeatureTable

    @property
    def arms(self) -> tuple[str, ...]:
        """The kinds of synthetic rows that are compared with none."""
        return arms(self.config)

    def points_of(self, arm: str) -> list[int]:
        """The sweep's points that differ for an arm; the first for one that is not trained."""
        return sorted({member.point for member in self.members if member.loss == arm}) or [0]

    def fold(self, index: int) -> Fold:
        """A fold or inner fold by its number."""
        return [*self.folds, *self.inner][index]

    @cached_property
    def label_U(self) -> np.ndarray:
        """The corpus's emotions as places in `classes`."""
        return np.array([self.classes.index(emotion) for emotion in self.corpus.emotions_U])

    @cached_property
    def tables(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Normalisation -> (corpus rows x_UxD, source rows x_SxD).

        "train" leaves rows as they are; "speaker" z-norms each table over its own rows of a speaker, so that
        a clip that is in both, as with source "corpus", may differ a little; "corpus" z-norms each corpus by
        its own rows, and S as the training corpus, whose features it has to take on.
        """
        return {
            name: (folds.normalised(self.corpus, name), self.normalised_source(self.source, name))
            for name in self.config.normalisations
        }

    def other_speech(self, name: str, settings: Extraction) -> FeatureTable:
        """Unlabelled rows in the place of S, of which those of the corpora's speakers are known as such."""
        return _other_speech(self.config, name, tables.stacked(self.corpus, self.unused), settings)

    def normalised_source(self, source: FeatureTable, normalisation: str) -> np.ndarray:
        """Rows of the source as a normalisation has them, or of other speech in its place."""
        train_RxD = self.corpus.x_UxD[self.folds[0].train_R]  # the same in all folds where it is looked at
        return folds.normalised_source(source, normalisation, train_RxD)

    @property
    def amount(self) -> float:
        """`config.amount`, or where it is 0 the sets that the rows of S make (mean over the folds)."""
        if self.config.amount:
            return float(self.config.amount)
        sets = [len(self.classes) * self.per_class(fold, 0) / len(fold.train_R) for fold in self.folds]
        return round(float(np.mean(sets)), 1)

    def per_class(self, fold: Fold, amount: float) -> int:
        """Rows of each class in `amount` sets of the fold; amount 0: one for each row of S."""
        if amount == 0:
            return len(folds.source_rows(fold, self.source))
        return round(amount * len(fold.train_R) / len(self.classes))

    def view(self, member: Member) -> View:
        """What the member's fold lets it see, with the min-max scaler fitted on exactly that."""
        fold = self.fold(member.fold)
        x_UxD, x_SxD = self.tables[member.normalisation]
        source_R = folds.source_rows(fold, self.source)
        emotion_R = self.corpus.emotions_U[fold.train_R]
        target_KxR = tuple(fold.train_R[emotion_R == emotion] for emotion in self.classes)
        seen_R = np.concatenate(target_KxR)
        folds.check_rows(fold, self.corpus, seen_R)
        scaler = folds.min_max(x_SxD[source_R], x_UxD[seen_R])
        return View(source_R, target_KxR, scaler)


def prepare(config: Any, progress: Any = None) -> Study:
    """Everything before work: reads or extracts the rows, makes folds and members, and checks all of it.

    Raises:
      UserError: whatever the user can mend, before anything is trained or written.
    """
    settings = extraction(config, progress)
    everything, own = corpora(config, settings)
    corpus = labelled(config, own)
    unused_R = np.flatnonzero(~np.isin(everything.ids_U, corpus.ids_U))
    source = source_of(config, everything, own, settings)
    return assemble(config, corpus, source, everything.select(unused_R))


def corpora(config: Any, settings: Extraction) -> tuple[FeatureTable, FeatureTable]:
    """(all rows of the corpora, those of the part that is wanted) as `config` names them, with all emotions.

    Raises:
      UserError: whatever the user can mend, before anything is extracted.
    """
    swept = points.resolve(config)
    if len(swept) < len(config.sweep):
        merged = len(config.sweep) - len(swept)
        print(f"config.sweep: {merged} points were there before and are merged", file=sys.stderr)
    for point in swept:
        check(points.at(config, point))
    for key in ("corpus", "target") if config.protocol == "across" else ("corpus",):
        inputs.check_corpus(config[key].name, config[key].root, config[key].table, key)
    foresee = None if config.protocol == "across" else partial(_foresee, config)
    everything = _corpus(config, "corpus", replace(settings, check=foresee))
    own = _part(config, everything)
    if config.protocol == "across":
        target = _corpus(config, "target", settings)
        everything, own = tables.join(everything, target), tables.join(own, target)
    names = mapping.parse(config.corpus.labels, "corpus.labels")
    mapping.check(everything, names, "corpus.labels")
    return everything, mapping.renamed(own, names)


def source_of(config: Any, everything: FeatureTable, own: FeatureTable, settings: Extraction) -> FeatureTable:
    """The unlabelled rows S, for what `corpora` gives."""
    if config.source == "corpus":
        return own.unlabelled()
    return _other_speech(config, config.source, everything, settings)


def _other_speech(config: Any, name: str, everything: FeatureTable, settings: Extraction) -> FeatureTable:
    """Unlabelled rows that are not asked for as the corpus's own. Across corpora, whose speakers are
    "corpus/speaker", one of a table is known by the own name, too."""
    source = inputs.source_table(name, everything, settings)
    if config.protocol != "across":
        return source
    prefixes = tuple(f"{spec.name}/" for spec in (config.corpus, config.target) if spec.table)
    known = {who.partition("/")[2]: who for who in everything.speakers_U.tolist() if who.startswith(prefixes)}
    return replace(source, speakers_U=np.array([known.get(who, who) for who in source.speakers_U.tolist()]))


def _foresee(config: Any, labels: FeatureTable) -> None:
    """Raises UserError for a corpus whose labels alone show that no folds can be made of it."""
    names = mapping.parse(config.corpus.labels, "corpus.labels")
    mapping.check(labels, names, "corpus.labels")
    corpus = labelled(config, mapping.renamed(_part(config, labels), names))
    if config.protocol != "speaker_text":  # which asks for the source, too
        _splits(config, corpus, corpus, _classes(config, corpus))


def extraction(config: Any, progress: Any = None) -> Extraction:
    """How `config.features` has rows extracted; a run folder of an older version has no store."""
    spec = config.features
    return Extraction(spec.set, spec.cache, spec.get("store", ""), spec.workers, progress)


def _corpus(config: Any, key: str, settings: Extraction) -> FeatureTable:
    """The rows that `config[key]` names; where there are two corpora, with speakers "corpus/speaker"."""
    spec = config[key]
    columns = mapping.parse(spec.columns, f"{key}.columns")
    found = inputs.corpus_table(spec.name, spec.root, spec.table, settings, key, columns)
    return tables.named(found, spec.name) if config.protocol == "across" else found


def _part(config: Any, corpus: FeatureTable) -> FeatureTable:
    """The rows of `config.corpus.part`, or all."""
    wanted = config.corpus.part
    if not wanted:
        return corpus
    part = CORPORA[config.corpus.name].part
    assert part is not None  # see checks.check
    rows = [i for i, clip in enumerate(corpus.ids_U.tolist()) if part(clip) == wanted]
    if not rows:
        raise UserError(f"config.corpus.part={wanted}: the corpus has no {wanted} clip; leave the key empty")
    return corpus.select(rows)


def restore(config: Any, run: epath.Path) -> Study:
    """The study of a run folder, from the rows that it keeps: no audio is needed any more.

    Raises:
      UserError: the rows are damaged.
    """
    unused = run / "unused.parquet"
    kept = _kept(run / "features.parquet"), _kept(run / "source.parquet")
    return assemble(config, *kept, _kept(unused) if unused.exists() else None)


def _kept(path: epath.Path) -> FeatureTable:
    """Rows that a run folder keeps."""
    try:
        return tables.read(path)
    except UserError as error:
        raise UserError(f"{error}; delete it and run the run folder's own command again") from error


def keep(study: Study, run: epath.Path) -> None:
    """Writes the rows into the run folder."""
    if len(study.unused.ids_U):
        tables.write(study.unused, run / "unused.parquet")
    tables.write(study.source, run / "source.parquet")
    tables.write(study.corpus, run / "features.parquet")


def assemble(
    config: Any, corpus: FeatureTable, source: FeatureTable, unused: FeatureTable | None = None
) -> Study:
    """Folds, network sizes and members for given rows."""
    if len(corpus.names_D) < 2:
        raise UserError(f"config.corpus: its one feature is {corpus.names_D[0]}; a study needs 2 or more")
    classes = _classes(config, corpus)
    splits = _splits(config, corpus, source, classes)
    swept = points.resolve(config)
    inner = _inner(config, corpus, splits, classes) if chooses(config, swept) else []
    at_points = [points.at(config, point) for point in swept]
    identity = any(each.hypers.lambda_id > 0 for each in at_points)
    programs = [gan_config(each, corpus.names_D, splits, classes, identity) for each in at_points]
    hypers = [{name: float(value) for name, value in each.hypers.items()} for each in at_points]
    plan = members.plan(
        tuple(arm for arm in METHODS if arm in arms(config)),
        tuple(config.normalisations),
        splits + inner,
        config.gan.seeds,
        list(zip(programs, hypers, strict=True)),
    )
    _check_differences(swept, plan)
    unused = corpus.select(np.arange(0)) if unused is None else unused
    study = Study(config, classes, corpus, source, splits, inner, swept, plan, unused)
    of_source = all(arm in augment.OF_SOURCE or arm in LOSSES for arm in study.arms)  # others go on
    for fold in splits:
        have, want = len(folds.source_rows(fold, source)), study.per_class(fold, config.amount)
        if want < 1 or (want > have and of_source):
            raise UserError(
                f"config.amount={config.amount} needs {want} synthetic rows per class when "
                f"{' '.join(fold.held_out)} is held out, the source has {have}; it takes 1 or more"
            )
    if "speaker" in config.normalisations:
        check_speakers("corpus", corpus)
        check_speakers(f"source {config.source}", source)
    return study


def _splits(config: Any, corpus: FeatureTable, source: FeatureTable, classes: tuple[str, ...]) -> list[Fold]:
    """The folds of `config.protocol`."""
    if config.protocol == "speaker":
        return folds.loso(corpus, classes)
    if config.protocol == "speaker_groups":
        return folds.speaker_groups(corpus, config.groups, classes)
    if config.protocol == "session":
        return folds.leave_out(corpus, _sessions(config, corpus), "session", classes)
    if config.protocol == "across":
        return [_across(config, corpus, classes)[0]]
    if config.corpus.name not in CORPORA or chooses(config, points.resolve(config)):
        raise UserError(
            f"config.protocol={config.protocol}: for {', '.join(CORPORA)}, and with config.choice.speakers=0"
        )
    if set(corpus.speakers_U.tolist()) & set(source.speakers_U.tolist()):
        raise UserError(
            f"config.protocol={config.protocol}: config.source={config.source} has the corpus's speakers, "
            "and what they say there is not known"
        )
    return folds.speaker_and_text(corpus, texts(config.corpus.name, corpus.ids_U), classes)


def _sessions(config: Any, corpus: FeatureTable) -> np.ndarray:
    """The session of each row; raises UserError if there are none."""
    if corpus.sessions_U is not None and "" not in corpus.sessions_U:
        return corpus.sessions_U
    session = CORPORA[config.corpus.name].session if config.corpus.name in CORPORA else None
    if session:
        return np.array([session(who) for who in corpus.speakers_U.tolist()])
    without = len(corpus.ids_U) if corpus.sessions_U is None else int(np.sum(corpus.sessions_U == ""))
    raise UserError(
        f"config.protocol=session: {without} of {len(corpus.ids_U)} rows have no session; fill the column "
        "session, or use protocol speaker or speaker_groups"
    )


def _inner(config: Any, corpus: FeatureTable, splits: list[Fold], classes: tuple[str, ...]) -> list[Fold]:
    """The folds on which settings are chosen."""
    if config.protocol == "across":
        return [_across(config, corpus, classes)[1]]
    return folds.pairs(corpus, splits, classes, config.choice.speakers)


def _across(config: Any, corpus: FeatureTable, classes: tuple[str, ...]) -> tuple[Fold, Fold]:
    target = config.target
    return folds.across(corpus, _is_target(config, corpus), classes, target.dev_share, target.dev_split)


def _is_target(config: Any, table: FeatureTable) -> np.ndarray:
    return np.array([who.startswith(f"{config.target.name}/") for who in table.speakers_U.tolist()])


def arms(config: Any) -> tuple[str, ...]:
    """`config.arms`, or the CycleGANs of `config.gan.loss`."""
    return tuple(config.arms) or (config.gan.loss,)


def chooses(config: Any, swept: list[Point]) -> bool:
    """Whether settings are chosen on inner folds: there are several, and speakers that judge them."""
    return config.choice.speakers > 0 and (bool(config.choice.amounts) or len(swept) > 1)


def _check_differences(swept: list[Point], plan: list[Member]) -> None:
    """Raises UserError for swept keys that no trained arm looks at."""
    losses = list(dict.fromkeys(member.loss for member in plan))
    for key in swept[0] if losses else ():
        if key in Hypers._fields and not any(key in reads(loss) for loss in losses):
            raise UserError(
                f"config.sweep: {key} makes no difference to {', '.join(losses)}; sweep other keys"
            )
    if losses and len(swept) > 1 and not any(member.point for member in plan):
        keys = ", ".join(key for key in swept[0] if any(point[key] != swept[0][key] for point in swept))
        raise UserError(
            f"config.sweep: its points ({keys}) make no difference to {', '.join(losses)}; sweep other keys"
        )


def check_speakers(where: str, table: FeatureTable) -> None:
    """Raises UserError for speakers with one row, which normalisation by speaker would make zeros."""
    speakers, counts = np.unique(table.speakers_U, return_counts=True)
    alone = speakers[counts < 2].tolist()
    if alone:
        raise UserError(
            f"{where}: {len(alone)} speakers have one row ({', '.join(alone[:3])}), which has no "
            "deviation of its own; leave them out, or leave 'speaker' out of config.normalisations"
        )


def gan_config(
    config: Any, names_D: tuple[str, ...], splits: list[Fold], classes: tuple[str, ...], identity: bool
) -> GanConfig:
    """What is compiled of the CycleGANs. An epoch is a pass over the mean number of rows of an emotion.

    `identity` says whether the identity loss is computed at all.

    Raises:
      UserError: a number of steps that the chunk length does not divide; rows that are no spectrograms where
        the view asks for them.
    """
    gan = config.gan
    rows = np.mean([len(fold.train_R) for fold in splits]) / len(classes)
    epoch = steps_per_epoch(float(rows), gan.batch_size)
    steps = {
        "gan.pretrain_epochs": gan.pretrain_epochs * epoch,
        "gan.epochs": gan.epochs * epoch,
        "training.save_every": config.training.save_every,
    }
    if set(arms(config)) & set(adversarial.KINDS):
        steps |= {f"gan.{name}": gan[name] * epoch for name in ("noise_pretrain_epochs", "noise_epochs")}
    ranges.multiples(steps, config.training.log_every)
    return GanConfig(
        features=len(names_D),
        emotions=len(classes),
        loss=gan.loss,
        generator=tuple(gan.generator),
        critic=tuple(gan.critic),
        heads=features.groups(names_D) if gan.critic_heads else (),
        classifier=tuple(gan.classifier),
        residual=gan.residual,
        precision=gan.precision,
        activations=gan.activations,
        slope=gan.slope,
        dropout=gan.dropout,
        cycle_reduction=gan.cycle_reduction,
        identity=identity,
        classifier_data=gan.classifier_data,
        batch_size=gan.batch_size,
        generator_updates=gan.generator_updates,
        critic_updates=gan.critic_updates,
        adam_b1=gan.adam_b1,
        adam_b2=gan.adam_b2,
        adam_eps=gan.adam_eps,
        ema_decay=gan.ema_decay,
        pretrain_steps=gan.pretrain_epochs * epoch,
        noise_pretrain_steps=gan.noise_pretrain_epochs * epoch,
        noise_steps=gan.noise_epochs * epoch,
        noise_rate=gan.noise_rate,
        steps=gan.epochs * epoch,
        decay_steps=gan.decay_epochs * epoch,
        decay_factor=gan.decay_factor,
        decay_floor=gan.decay_floor,
        shape=_shape(config, names_D),
    )


def _shape(config: Any, names_D: tuple[str, ...]) -> tuple[int, ...]:
    """Frames and filters of rows that are seen as spectrograms; raises UserError if they are none."""
    if not config.gan.view:
        return ()
    if names_D != logmel.names():
        raise UserError(
            f"config.gan.view={config.gan.view}: the columns are not those of config.features.set=logmel "
            f"(first {names_D[0]}); give recordings, or a table of such rows"
        )
    return logmel.ROW, logmel.FILTERS


def labelled(config: Any, table: FeatureTable) -> FeatureTable:
    """The rows of the classes of `config`."""
    return table.select(np.flatnonzero(np.isin(table.emotions_U, _classes(config, table))))


def _classes(config: Any, table: FeatureTable) -> tuple[str, ...]:
    present = sorted(set(table.emotions_U.tolist()) - {""})
    if config.protocol == "across":  # what both corpora have
        target_U = _is_target(config, table)
        present = sorted({*table.emotions_U[target_U]} & {*table.emotions_U[~target_U]} - {""})
    both = " of each corpus" if config.protocol == "across" else ""
    return chosen_classes(config.corpus.classes, present, f"no row{both} has the emotion")
