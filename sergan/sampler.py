"""The CycleGANs as an over-sampler of imbalanced-learn, for scikit-learn's pipelines and searches."""

from collections.abc import Sequence
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

import jax
import numpy as np
import pandas as pd
from etils import epath
from imblearn.over_sampling.base import BaseOverSampler
from scipy.sparse import issparse
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sergan import cyclegan, folds, members, sampler_files, synthesis
from sergan.folds import Scaler
from sergan.gan import LOSSES, GanConfig, steps_per_epoch
from sergan.members import Member, View
from sergan.state import Hypers

FIXED: dict[str, Any] = {  # what the sampler has no parameter for
    "heads": (),
    "residual": True,
    "precision": "float32",
    "activations": "float32",
    "slope": 0.2,
    "dropout": 0.2,
    "cycle_reduction": "sum",
    "classifier_data": "real",
    "generator_updates": 2,
    "critic_updates": 1,
    "adam_b1": 0.5,
    "adam_b2": 0.9,
    "adam_eps": 1e-6,
    "ema_decay": 0.9,
    **dict.fromkeys(("pretrain_steps", "noise_pretrain_steps", "noise_steps", "noise_rate"), 0),
    "decay_factor": 0.8,
    "decay_floor": 0.0,
}
DECAY_EPOCHS, SMOOTHING = 25, 0.9
_transfer = lru_cache(synthesis.make_transfer)
_COUNT = Interval(Integral, 1, None, closed="left")
_WEIGHT, _RATE = Interval(Real, 0, None, closed="left"), Interval(Real, 0, None, closed="neither")


class CycleGANSampler(BaseOverSampler):
    """Adds synthetic rows of each class: rows of unlabelled speech, transferred to it by its CycleGAN.

    One CycleGAN per class and an auxiliary classifier learn from what `fit_resample` is given and from
    `source`, and from nothing else. Rows may have any scale; they are min-max scaled for training. In a
    pipeline the sampler comes before a scaler, so that `source` and X are measured alike.

    Args:
      source: unlabelled rows [S, D] of the same features as X, none of a held-out speaker. Each makes one row
        of a class. None: the rows of X without their labels; more rows of a class than X has then repeat,
        each used equally often or once more.
      sampling_strategy: how many rows each class has afterwards, as in imbalanced-learn: a name, a dict or a
        function of y for any number of classes, a ratio for two. "auto": as many as the largest class.
      random_state: seed of the networks, the batches and the choice of source rows.
      loss: of the critics, "wdiv" (Wasserstein divergence) or "gan" (Jensen-Shannon).
      generator, critic, classifier: widths of the hidden layers.
      epochs: passes over the mean number of rows of a class.
      batch_size: rows of each class in a step.
      lambda_cyc, lambda_cls, lambda_id: weights of the cycle, class and identity loss.
      penalty_k, penalty_p: factor and power of the divergence's gradient penalty.
      lr_g, lr_c, lr_cls: learning rates of the generators, the critics and the auxiliary classifier.

    Attributes:
      classes_: the K classes, sorted.
      source_: the source's rows [S, D] as they were given.
      sampling_strategy_: rows that were added to each class.
      scaler_: the min-max scaler of X and source.
      generators_: trained generators, parameters with a leading axis K.
      config_, seed_: what was trained, as a `GanConfig`, and from which seed.
      dtype_, types_: the type of X, and those of its columns.

    Source: Bao et al. 2019, section 3; Shilandari et al. 2022 (Wasserstein divergence).
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **BaseOverSampler._parameter_constraints,
        "source": ["array-like", None],
        "loss": [StrOptions(set(LOSSES))],
        **{name: [list, tuple] for name in ("generator", "critic", "classifier")},
        **{name: [_COUNT] for name in ("epochs", "batch_size")},
        **{name: [_WEIGHT] for name in ("lambda_cyc", "lambda_cls", "lambda_id", "penalty_k", "penalty_p")},
        **{name: [_RATE] for name in ("lr_g", "lr_c", "lr_cls")},
    }

    def __init__(
        self,
        source: Any = None,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        loss: str = "wdiv",
        generator: tuple[int, ...] = (64, 64),
        critic: tuple[int, ...] = (64, 64),
        classifier: tuple[int, ...] = (64, 64),
        epochs: int = 200,
        batch_size: int = 64,
        lambda_cyc: float = 5.0,
        lambda_cls: float = 2.0,
        lambda_id: float = 0.0,
        penalty_k: float = 2.0,
        penalty_p: float = 6.0,
        lr_g: float = 1e-3,
        lr_c: float = 1e-3,
        lr_cls: float = 1e-3,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.source = source
        self.random_state = random_state
        self.loss = loss
        self.generator = generator
        self.critic = critic
        self.classifier = classifier
        self.epochs = epochs
        self.batch_size = batch_size
        self.lambda_cyc = lambda_cyc
        self.lambda_cls = lambda_cls
        self.lambda_id = lambda_id
        self.penalty_k = penalty_k
        self.penalty_p = penalty_p
        self.lr_g = lr_g
        self.lr_c = lr_c
        self.lr_cls = lr_cls

    def fit(self, X: Any, y: Any) -> "CycleGANSampler":
        """Trains as `fit_resample` does, and raises as it does; `generate` and `transfer` make the rows."""
        self.fit_resample(X, y)
        return self

    def fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        """X [N, D] and y with the synthetic rows after them, as in imbalanced-learn; see `_fit_resample`."""
        self.types_ = _types(X)
        return super().fit_resample(X, y, **params)

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        """Checked rows [N, D] and labels -> the same with the synthetic ones after them.

        Raises:
          ValueError: a class with fewer than 2 rows, a source of other features or with fewer rows than are
            to be made of a class.
          FloatingPointError: the training diverged.
        """
        x_NxD = X.toarray() if issparse(X) else X
        classes, label_N = np.unique(y, return_inverse=True)
        for name, count in zip(classes.tolist(), np.bincount(label_N).tolist(), strict=True):
            if count < 2:
                raise ValueError(f"class {name!r} has {count} row; its CycleGAN needs 2 or more")
        source_SxD = x_NxD if self.source is None else self._checked_source()
        for name, count in self.sampling_strategy_.items():
            self._check_count(count, name, len(source_SxD))
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        member = self._member(x_NxD.shape[1], len(classes), len(x_NxD), seed)
        scaler = folds.min_max(source_SxD.astype(np.float64), x_NxD.astype(np.float64))
        rows = _scaled(scaler, source_SxD), _scaled(scaler, x_NxD)
        self.generators_ = _train(member, self.epochs, *rows, label_N)
        self.classes_, self.source_, self.dtype_ = classes, source_SxD, x_NxD.dtype
        self.types_ = self.types_ or [x_NxD.dtype] * x_NxD.shape[1]
        self.config_, self.scaler_, self.seed_ = member.gan, scaler, seed
        made = [self._made(count, name) for name, count in self.sampling_strategy_.items()]
        labels = [np.full(count, name, y.dtype) for name, count in self.sampling_strategy_.items()]
        out_NxD = np.concatenate([x_NxD, *made])
        return (type(X)(out_NxD) if issparse(X) else out_NxD), np.concatenate([y, *labels])

    def generate(self, n: int, emotion: Any) -> Any:
        """n synthetic rows [n, D] of a class, on the scale of X; a DataFrame where X was one.

        With a source they come from different rows of it, without one from those of X in turn. The first ones
        are the same for any n, and those that `fit_resample` added.

        Raises:
          NotFittedError: before `fit_resample`.
          ValueError: no such class, n below 1, or more rows than a source has.
        """
        check_is_fitted(self, "generators_")
        if not isinstance(n, Integral) or n < 1:
            raise ValueError(f"n={n!r}: a whole number of rows, 1 or more")
        self._check_count(int(n), self.classes_[self._place(emotion)], len(self.source_))
        made_NxD = self._made(int(n), emotion)
        names = getattr(self, "feature_names_in_", None)
        return made_NxD if names is None else self._frame(made_NxD, columns=names)

    def transfer(self, X: Any, emotion: Any) -> Any:
        """The rows of X [N, D] transferred to a class, on the same scale; a DataFrame where X is one.

        Raises:
          NotFittedError: before `fit_resample`.
          ValueError: no such class, other features, or values that are NaN or infinite.
        """
        check_is_fitted(self, "generators_")
        x_NxD = validate_data(self, X, reset=False)
        y_NxD = self._through(x_NxD, emotion)
        return self._frame(y_NxD, X.index, X.columns) if isinstance(X, pd.DataFrame) else y_NxD

    def save(self, path: epath.PathLike) -> None:
        """Writes the fitted sampler, its source's rows included, as the folder `path`, whole or not at all.

        Replaces a sampler that was saved there, which is PATH.former until the new one is.

        Raises:
          NotFittedError: before `fit_resample`.
          ValueError: a parameter that JSON cannot hold, as a function.
          UserError: `path` is something else already.
        """
        check_is_fitted(self, "generators_")
        sampler_files.save(self, path)

    @classmethod
    def load(cls, path: epath.PathLike) -> "CycleGANSampler":
        """The sampler that `save` wrote, with its parameters; it makes the same rows.

        Raises:
          UserError: there is none, it is damaged, or written by another version.
        """
        return sampler_files.load(cls, path)

    def _checked_source(self) -> np.ndarray:
        """`source` as an array; its number of columns, and their names where both have some, are X's."""
        source_SxD = check_array(self.source, input_name="source")
        if source_SxD.shape[1] != self.n_features_in_:
            raise ValueError(f"source has {source_SxD.shape[1]} columns, X has {self.n_features_in_}")
        names, wanted = list(getattr(self.source, "columns", [])), getattr(self, "feature_names_in_", None)
        if names and wanted is not None and names != wanted.tolist():
            others = [str(name) for name in names if name not in set(wanted)][:3]
            what = f"not in X: {', '.join(others)}" if others else "the same ones in another order"
            raise ValueError(f"source has other columns than X ({what})")
        return source_SxD

    def _check_count(self, count: int, emotion: Any, rows: int) -> None:
        if self.source is not None and count > rows:
            raise ValueError(
                f"{count} rows of class {emotion} are asked for, but source has {rows}, and each makes one"
            )

    def _member(self, features: int, emotions: int, rows: int, seed: int) -> Member:
        """What is trained on `rows` rows of `emotions` classes."""
        epoch = steps_per_epoch(rows / emotions, self.batch_size)
        config = GanConfig(
            features=features,
            emotions=emotions,
            loss=self.loss,
            generator=_widths("generator", self.generator),
            critic=_widths("critic", self.critic),
            classifier=_widths("classifier", self.classifier),
            identity=bool(self.lambda_id > 0),
            batch_size=int(self.batch_size),
            steps=int(self.epochs) * epoch,
            decay_steps=DECAY_EPOCHS * epoch,
            **FIXED,
        )
        own = [(name, float(getattr(self, name))) for name in Hypers._fields if name != "smoothing"]
        return Member(0, config, "train", 0, seed, 0, (*own, ("smoothing", SMOOTHING)))

    def _made(self, count: int, emotion: Any) -> np.ndarray:
        """The first `count` rows of a class, from the source's rows in a random order of the class's own."""
        rows = len(self.source_)
        rng = np.random.default_rng([self.seed_, self._place(emotion)])
        order = [np.arange(0), *(rng.permutation(rows) for _ in range(0, count, rows))]
        return self._through(self.source_[np.concatenate(order)[:count]], emotion)

    def _through(self, x_NxD: np.ndarray, emotion: Any) -> np.ndarray:
        """Rows on the original scale through the generator of a class, and back to that scale and type."""
        place = self._place(emotion)
        gen = {"G": jax.tree.map(lambda leaf: leaf[place : place + 1], self.generators_)}
        scaled_NxD = _scaled(self.scaler_, x_NxD)
        key = jax.random.key(self.seed_)
        y_KxNxD = synthesis.in_blocks(_transfer(self.config_), gen, key, scaled_NxD)
        return _unscaled(self.scaler_, y_KxNxD[0], self.types_).astype(self.dtype_)

    def _frame(self, y_NxD: np.ndarray, *args: Any, **names: Any) -> pd.DataFrame:
        """Rows as a DataFrame whose columns have the types that they had."""
        frame = pd.DataFrame(y_NxD, *args, **names)
        return frame.astype({name: t for name, t in zip(frame, self.types_, strict=True) if t.kind in "iub"})

    def _place(self, emotion: Any) -> int:
        names = self.classes_.tolist()
        if emotion not in names:
            raise ValueError(f"no class {emotion!r}; there are {', '.join(map(repr, names))}")
        return names.index(emotion)


def _widths(name: str, hidden: Any) -> tuple[int, ...]:
    if not all(isinstance(width, Integral) and int(width) > 0 for width in hidden):
        raise ValueError(f"{name} are widths of hidden layers, above 0, not {hidden}")
    return tuple(map(int, hidden))


def _train(
    member: Member, epochs: int, source_SxD: np.ndarray, x_NxD: np.ndarray, label_N: np.ndarray
) -> Any:
    """The trained generators G of the K classes, from min-max scaled rows and places of classes.

    Rows are padded to a power of two and drawn by index, so that folds of about one size share a program.
    """
    config = member.gan
    target_KxR = tuple(np.flatnonzero(label_N == k) for k in range(config.emotions))
    as_it_is = Scaler(np.zeros(config.features, np.float32), np.ones(config.features, np.float32))
    view = View(np.arange(len(source_SxD)), target_KxR, as_it_is)
    source_PxD, x_PxD = (_padded(rows, 1 << (len(rows) - 1).bit_length()) for rows in (source_SxD, x_NxD))
    data, hypers = members.stack_views(source_PxD, x_PxD, [view]), members.stack_hypers([member])
    state = members.init(config, [member])
    for _ in range(0, config.steps, epochs):
        state, _ = _chunk(config, epochs)(hypers, data, state)
    if not bool(state.finite[0]):
        raise FloatingPointError(
            f"the CycleGANs diverged at step {state.step[0]} of {config.steps}; lower lr_g, lr_c and lr_cls"
        )
    return jax.tree.map(lambda leaf: np.asarray(leaf[0]), state.generators["G"])


@lru_cache
def _chunk(config: GanConfig, steps: int) -> Any:
    return members.make_chunk(cyclegan.make_step(config), steps, 1)


def _padded(x_NxD: np.ndarray, rows: int) -> np.ndarray:
    return np.pad(x_NxD, ((0, rows - len(x_NxD)), (0, 0)))


def _scaled(scaler: Scaler, x_NxD: np.ndarray) -> np.ndarray:
    """Rows as the networks see them, float32; the scaler's float64 keeps the digits of large offsets."""
    return ((x_NxD - scaler.shift_D) * scaler.scale_D).astype(np.float32)


def _types(X: Any) -> list[np.dtype]:
    """NumPy's types of the columns of a DataFrame; none of anything else."""
    if not isinstance(X, pd.DataFrame):
        return []
    types = [getattr(kind, "numpy_dtype", kind) for kind in X.dtypes]
    return [kind if isinstance(kind, np.dtype) else np.dtype(object) for kind in types]


def _unscaled(scaler: Scaler, y_NxD: np.ndarray, types: Sequence[np.dtype]) -> np.ndarray:
    """Rows on the original scale, those of whole numbers and truth values rounded to values of their types;
    constants get their values back."""
    width_D = np.divide(1.0, scaler.scale_D, out=np.zeros_like(scaler.shift_D), where=scaler.scale_D > 0)
    x_NxD = y_NxD * width_D + scaler.shift_D
    for d, kind in enumerate(types):
        if kind.kind in "iub":
            low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
            x_NxD[:, d] = np.rint(x_NxD[:, d]).clip(low, high)
    return x_NxD
