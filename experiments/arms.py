"""Synthetic rows of every arm for a fold, and the classifiers' tasks that are made of them."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np

from experiments.settings import CLASSIFIERS, Setting
from experiments.study import Study
from experiments.synthesise import Generators
from sergan import augment, folds, methods
from sergan.augment import Synthetic
from sergan.classifiers.tasks import Answer, Task
from sergan.errors import ArmError
from sergan.folds import Fold
from sergan.methods import METHODS

_ROWS_BYTES = 4e9  # of the folds whose classifiers train at once on an accelerator,
_CPU_ROWS_BYTES = 3e8  # and on a CPU, where few train at once anyway; they are in memory three times


@dataclass(frozen=True)
class Bench:
    """One fold's rows for the classifiers, all z-normed on its real training rows: real ones, then synthetic.

    Without an arm ("real") there are no synthetic rows.
    """

    study: Study
    fold: Fold
    x_NxD: np.ndarray
    synthetic: Synthetic | None

    def task(self, place: int, setting: Setting, real: bool, seed: int) -> Task:
        """A classifier of this fold, which is number `place` of a call, on synthetic rows and `real` ones.

        Whatever there is weighs as much as the real rows alone would.

        Raises:
          ArmError: fewer synthetic rows than the setting's amount needs.
        """
        study, fold = self.study, self.fold
        parts = [(fold.train_R, study.label_U[fold.train_R], np.ones(len(fold.train_R)))] if real else []
        if self.synthetic is not None:
            parts.append(self._drawn(setting.amount))
        rows, labels, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        if len(parts) == 2 and setting.real_share:
            weights = np.concatenate(_shared(parts[0][2], parts[1][2], setting.real_share))
        weights *= len(fold.train_R) / weights.sum()  # or an SVM's C would grow with the amount
        folds.check_rows(fold, study.corpus, rows[rows < len(study.corpus.ids_U)])
        return Task(place, rows, labels, weights, fold.test_R, setting.regularisation, fold.index, seed)

    def _drawn(self, amount: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, labels and weights of the first rows of each class that make `amount` sets.

        A mixed row is there twice, once with each of its labels.
        """
        synthetic, fold = self.synthetic, self.fold
        assert synthetic is not None
        want, have = self.study.per_class(fold, amount), synthetic.x_KxNxD.shape[1]
        if want > have:
            raise ArmError(f"{amount:g} sets need {want} rows of each class, {have} can be made")
        kinds = len(synthetic.x_KxNxD)
        first = len(self.study.corpus.ids_U)
        row_KxN = first + np.arange(kinds * have).reshape(kinds, have)[:, :want]
        own_KxN = np.repeat(np.arange(kinds)[:, None], want, axis=1)
        other_KxN, share_KxN = synthetic.other_KxN[:, :want], synthetic.share_KxN[:, :want]
        mixed = share_KxN < 1
        rows = np.concatenate([row_KxN.ravel(), row_KxN[mixed]])
        labels = np.concatenate([own_KxN.ravel(), other_KxN[mixed]])
        weights = np.concatenate([share_KxN.ravel(), 1 - share_KxN[mixed]])
        return rows, labels, weights


def _shared(a_R: np.ndarray, b_R: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Two parts' weights, scaled so that the first weighs `share` of an unchanged whole."""
    whole = a_R.sum() + b_R.sum()
    return a_R * share * whole / a_R.sum(), b_R * (1 - share) * whole / b_R.sum()


def bench(
    study: Study,
    generators: Generators,
    arm: str,
    normalisation: str,
    fold: Fold,
    seed: int,
    per_class: int,
    strength: float,
    point: int,
) -> Bench:
    """The rows of one fold with up to `per_class` synthetic ones of each class.

    Raises:
      ArmError: the arm cannot make rows of this fold.
    """
    x_UxD, x_SxD = study.tables[normalisation]
    folds.check_rows(fold, study.corpus, fold.train_R)
    source_R = folds.source_rows(fold, study.source)
    scaler = folds.z_norm(x_UxD[fold.train_R], x_SxD[source_R])
    real_UxD = scaler.apply(x_UxD)
    if arm == "real":
        return Bench(study, fold, real_UxD, None)
    rng = np.random.default_rng([seed, fold.index, zlib.crc32(arm.encode())])
    if arm in METHODS:
        member = generators.member(arm, normalisation, fold.index, seed, point)
        if not generators.sound(member):
            step = generators.step(member)
            raise ArmError(f"{arm}: training diverged at step {step}; lower config.hypers.lr_g or lr_c")
        given_R = source_R
        if methods.from_noise(arm):  # rows from noise, as many as are wanted, whatever S has
            given_R = np.resize(source_R, max(per_class, len(source_R)))
        y_KxNxD = scaler.apply(generators.transfer(member, x_SxD, given_R))
        _check_lengths(arm, y_KxNxD)
        synthetic = _draw(y_KxNxD, per_class, methods.from_noise(arm), rng)
    else:
        synthetic = augment.make(
            arm,
            real_UxD[fold.train_R],
            study.label_U[fold.train_R],
            scaler.apply(x_SxD[source_R]),
            study.classes,
            per_class,
            strength,
            rng,
        )
    _check_parents(study, fold, arm, synthetic.parent_KxN, source_R)
    x_NxD = np.concatenate([real_UxD, synthetic.x_KxNxD.reshape(-1, real_UxD.shape[1])])
    view_KxNxD = x_NxD[len(real_UxD) :].reshape(synthetic.x_KxNxD.shape)  # not a second copy
    return Bench(study, fold, x_NxD, synthetic._replace(x_KxNxD=view_KxNxD))


def _check_parents(study: Study, fold: Fold, arm: str, parent_KxN: np.ndarray, source_R: np.ndarray) -> None:
    """Raises LeakError for rows with parents, as far as these are known, that the fold may not see."""
    known_P = np.unique(parent_KxN[parent_KxN >= 0])
    if arm in METHODS or arm in augment.OF_SOURCE:
        folds.check_speakers(fold, study.source.speakers_U[source_R[known_P]])
    else:
        folds.check_rows(fold, study.corpus, fold.train_R[known_P])


def _check_lengths(arm: str, y_KxNxD: np.ndarray) -> None:
    """Raises ArmError for rows that no classifier could multiply with each other."""
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(np.einsum("knd,knd->kn", y_KxNxD, y_KxNxD)).all():
            raise ArmError(
                f"{arm}: the rows are too large to be classified; lower config.hypers.lr_g or lr_c"
            )


def can_make(study: Study, arm: str, fold: Fold, amount: float) -> bool:
    """Whether S has rows enough for `amount` sets of a fold; it always has for arms that take none of it."""
    of_source = arm in augment.OF_SOURCE or (arm in METHODS and not methods.from_noise(arm))
    return not of_source or study.per_class(fold, amount) <= len(folds.source_rows(fold, study.source))


def in_parts(
    study: Study, arm: str, splits: list[Fold], per_class: Callable[[Fold], int]
) -> list[list[Fold]]:
    """Folds in parts of about the same length, the rows of each of which are in memory at once.

    Args:
      per_class: synthetic rows of each class that a fold's bench has.
    """
    most = 0 if arm == "real" else max(len(study.classes) * per_class(fold) for fold in splits)
    size = 4 * len(study.corpus.names_D) * (len(study.corpus.ids_U) + most)
    room = _CPU_ROWS_BYTES if jax.default_backend() == "cpu" else _ROWS_BYTES
    fitting = max(1, int(room // size))
    together = -(-len(splits) // -(-len(splits) // fitting))
    return [splits[start : start + together] for start in range(0, len(splits), together)]


def answers(classifier: str, benches: list[Bench], asked: list[tuple[Setting, Task]]) -> list[Answer]:
    """What a classifier answers to tasks on `benches`; settings of one structure train as one program."""
    structures = dict.fromkeys(setting.structure for setting, _ in asked)
    classes = len(benches[0].study.classes)
    found: dict[int, Answer] = {}
    for structure in structures:
        places = [i for i, (setting, _) in enumerate(asked) if setting.structure == structure]
        tasks = [asked[i][1] for i in places]
        problems = [bench.x_NxD for bench in benches]
        done = CLASSIFIERS[classifier](structure, problems, tasks, classes)
        found |= dict(zip(places, done, strict=True))
    return [found[i] for i in range(len(asked))]


def diverged(classifier: str, task: Task) -> ArmError:
    """What is said of an answer that is not sound."""
    return ArmError(f"{classifier} diverged with seed {task.seed}; lower config.dnn.learning_rate")


def _draw(y_KxNxD: np.ndarray, per_class: int, noise: bool, rng: np.random.Generator) -> Synthetic:
    """Rows of generators in random order, up to `per_class` of each class; of `noise` none has a parent."""
    order_KxN = np.stack([rng.permutation(y_KxNxD.shape[1])[:per_class] for _ in y_KxNxD])
    own_KxN = np.repeat(np.arange(len(y_KxNxD))[:, None], order_KxN.shape[1], axis=1)
    drawn_KxNxD = np.take_along_axis(y_KxNxD, order_KxN[..., None], axis=1)
    parent_KxN = np.full_like(order_KxN, -1) if noise else order_KxN
    return Synthetic(drawn_KxNxD, own_KxN, np.ones(own_KxN.shape), parent_KxN)
