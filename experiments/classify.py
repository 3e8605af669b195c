"""Trains the classifiers on real rows, synthetic rows and both; writes what they say of held-out clips."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from etils import epath

from experiments.study import Study
from experiments.synthesise import features_of, synthetic_path
from sergan import folds, writers
from sergan.classifiers import dnn, svm
from sergan.classifiers.tasks import Answer, FitPredict, Problem, Task
from sergan.members import Member
from sergan.metrics import WORDS


@dataclass(frozen=True)
class Entry:
    """Which line of the tables a task belongs to."""

    arm: str
    amount: float


def classify(study: Study, run: epath.Path) -> None:
    """Writes predictions.csv; every normalisation, GAN seed and classifier is kept as soon as it is done."""
    parts: list[epath.Path] = []
    for normalisation in study.config.normalisations:
        for seed in range(study.config.gan.seeds):
            group = [m for m in study.members if m.normalisation == normalisation and m.seed == seed]
            wanted = {name: _part(run, normalisation, seed, name) for name in CLASSIFIERS}
            parts += wanted.values()
            todo = {name: path for name, path in wanted.items() if not path.exists()}
            if todo:
                problems, synthetic_R = _problems(study, run, group)
                for name, path in todo.items():
                    writers.write_frame(path, _predictions(study, name, group, problems, synthetic_R))
    done = [writers.read_frame(part, WORDS) for part in parts]
    writers.write_frame(run / "predictions.csv", pd.concat(done))


def _svm_settings(config: Any) -> svm.SvmSettings:
    return svm.SvmSettings(config.svm.C)


def _dnn_settings(config: Any) -> dnn.DnnSettings:
    spec = config.dnn
    return dnn.DnnSettings(
        tuple(spec.hidden), spec.dropout, spec.l2, spec.learning_rate, spec.batch_size, spec.steps
    )


CLASSIFIERS: dict[str, tuple[FitPredict, Any]] = {
    "svm": (svm.fit_predict, _svm_settings),
    "dnn": (dnn.fit_predict, _dnn_settings),
}


def _problems(study: Study, run: epath.Path, group: list[Member]) -> tuple[list[Problem], list[np.ndarray]]:
    """Per fold: all real rows, then the fold's synthetic ones, z-normed on the real training rows."""
    x_UxD, _ = study.tables[group[0].normalisation]
    label_U = _labels(study, study.corpus.emotions_U)
    problems, synthetic = [], []
    for member in group:
        fold = study.folds[member.fold]
        frame = writers.read_frame(synthetic_path(run, member))
        folds.check_speakers(fold, frame.source_speaker)
        if set(frame.fold) != {fold.index}:
            raise folds.LeakError(f"fold {fold.index}: synthetic rows of another fold")
        scaler = folds.z_norm(x_UxD[fold.train_R])
        x_NxD = scaler.apply(np.concatenate([x_UxD, features_of(frame, study.corpus.names_D)]))
        label_N = np.concatenate([label_U, _labels(study, frame.target_emotion.to_numpy())])
        problems.append(Problem(x_NxD, label_N))
        synthetic.append(np.arange(len(x_UxD), len(x_NxD)))
    return problems, synthetic


def _predictions(
    study: Study, name: str, group: list[Member], problems: list[Problem], synthetic: list[np.ndarray]
) -> pd.DataFrame:
    """The part of predictions.csv of one classifier, normalisation and GAN seed."""
    fit_predict, settings = CLASSIFIERS[name]
    entries, tasks = zip(*_tasks(study, group, problems, synthetic), strict=True)
    title = f"{name} {group[0].normalisation}"
    with writers.Progress(title, len(tasks)) as progress:
        answers = fit_predict(settings(study.config), problems, list(tasks), len(study.classes), progress)
    frames = [
        _frame(study, group[task.problem], name, entry, task, answer)
        for entry, task, answer in zip(entries, tasks, answers, strict=True)
    ]
    return pd.concat(frames)


def _tasks(
    study: Study, group: list[Member], problems: list[Problem], synthetic: list[np.ndarray]
) -> Iterator[tuple[Entry, Task]]:
    """real, synthetic alone, and both, for every fold and classifier seed."""
    loss, amount = study.config.gan.loss, study.amount
    for place, member in enumerate(group):
        fold = study.folds[member.fold]
        for repeat in range(study.config.seeds):
            seed = member.seed * study.config.seeds + repeat
            chosen = _choose(study, fold, synthetic[place], problems[place].label_N, seed)
            rows = {
                Entry("real", 0.0): [fold.train_R],
                Entry(loss, amount): [chosen],
                Entry(f"real+{loss}", amount): [fold.train_R, chosen],
            }
            for entry, parts in rows.items():
                train_R = np.concatenate(parts)
                folds.check_rows(fold, study.corpus, train_R[train_R < len(study.corpus.ids_U)])
                weight_R = _weights([len(part) for part in parts], study.config.real_share)
                yield entry, Task(place, train_R, weight_R, fold.test_R, fold.index, seed)


def _weights(lengths: list[int], real_share: float) -> np.ndarray:
    """Row weights of mean 1; of two parts the first, the real rows, weighs `real_share` of the whole."""
    shares = [1.0] if len(lengths) == 1 else [real_share, 1 - real_share]
    return np.repeat([share * sum(lengths) / n for share, n in zip(shares, lengths, strict=True)], lengths)


def _choose(
    study: Study, fold: folds.Fold, synthetic_R: np.ndarray, label_N: np.ndarray, seed: int
) -> np.ndarray:
    """`amount` synthetic sets drawn at random, the same number of each class."""
    rng = np.random.default_rng([seed, fold.index])
    by_class = [synthetic_R[label_N[synthetic_R] == c] for c in range(len(study.classes))]
    return np.concatenate([np.sort(rng.permutation(rows_R)[: study.per_class(fold)]) for rows_R in by_class])


def _frame(
    study: Study, member: Member, classifier: str, entry: Entry, task: Task, answer: Answer
) -> pd.DataFrame:
    classes, corpus = np.array(study.classes), study.corpus
    frame = pd.DataFrame(
        {
            "corpus": study.config.corpus.name,
            "id": corpus.ids_U[task.test_R],
            "speaker": corpus.speakers_U[task.test_R],
            "fold": task.fold,
            "seed": task.seed,
            "point": member.point,
            "arm": entry.arm,
            "amount": entry.amount,
            "classifier": classifier,
            "normalisation": member.normalisation,
            "truth": corpus.emotions_U[task.test_R],
            "prediction": classes[answer.label_R],
        }
    )
    probability_RxC = answer.probability_RxC
    if probability_RxC is None:
        probability_RxC = np.full((len(frame), len(classes)), np.nan)
    for c, emotion in enumerate(classes):
        frame[f"p_{emotion}"] = probability_RxC[:, c].round(6)
    return frame


def _labels(study: Study, emotions_N: np.ndarray) -> np.ndarray:
    return np.array([study.classes.index(emotion) for emotion in emotions_N])


def _part(run: epath.Path, normalisation: str, seed: int, classifier: str) -> epath.Path:
    return run / "predictions" / f"{normalisation}_{seed}_{classifier}.csv"
