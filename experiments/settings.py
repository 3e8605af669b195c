"""How classifiers are trained: the config's own setting of an arm, and the grid of inner folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sergan.classifiers import dnn, svm
from sergan.classifiers.dnn import DnnSettings
from sergan.classifiers.svm import SvmSettings
from sergan.classifiers.tasks import FitPredict

CLASSIFIERS: dict[str, FitPredict] = {"svm": svm.fit_predict, "dnn": dnn.fit_predict}
STRENGTHS = ("noise", "mixup")  # arms with a strength, each under its own name in the config


@dataclass(frozen=True)
class Setting:
    """What a classifier is trained with: synthetic sets of a sweep's point, how strongly they are changed,
    weights, nets."""

    point: int  # 0 for arms that are not CycleGANs
    amount: float
    strength: float  # 0 for arms that have none
    real_share: float
    regularisation: float  # the SVM's C, the DNN's L2
    structure: SvmSettings | DnnSettings

    def words(self) -> dict[str, Any]:
        """As columns of a table."""
        return {
            "point": self.point,
            "amount": self.amount,
            "setting": str(self.structure),
            "regularisation": self.regularisation,
            "strength": self.strength or None,
            "real_share": self.real_share,
        }


def fixed(
    config: Any, arm: str, classifier: str, amount: float, point: int = 0, alone: bool = False
) -> Setting:
    """The config's own setting of a classifier with `amount` sets of an arm at a sweep's point.

    `alone` is without the real rows.
    """
    strength = config[arm] if arm in STRENGTHS else 0.0
    if classifier == "svm":
        return Setting(point, amount, strength, config.svm.real_share, config.svm.C, SvmSettings())
    others = {} if arm == "real" else config.dnn_alone if alone else config.dnn_both
    spec = dict(config.dnn) | dict(others)
    share, l2, hidden = spec.pop("real_share"), spec.pop("l2"), tuple(spec.pop("hidden"))
    return Setting(point, amount, strength, share, l2, DnnSettings(hidden=hidden, **spec))


def grid(config: Any, arm: str, classifier: str, points: Sequence[int] = (0,)) -> list[Setting]:
    """The settings that inner folds choose from, those with fewer rows first; `real` has no amounts.

    Without amounts to choose from, a sweep's `points` at the config's own settings.
    """
    choice = config.choice
    if not choice.amounts:
        amount = 0.0 if arm == "real" else config.amount
        return [fixed(config, arm, classifier, amount, point) for point in points]
    rows: list[tuple[float, float, float]] = [(0.0, 0.0, 0.0)]
    if arm != "real":
        strengths = choice[arm] if arm in STRENGTHS else (0.0,)
        rows = list(product(choice.amounts, strengths, choice.real_share))
    structures: list[tuple[float, SvmSettings | DnnSettings]]
    if classifier == "svm":
        structures = [(C, SvmSettings()) for C in choice.C]
    else:
        spec = dict(config.dnn) | ({} if arm == "real" else dict(config.dnn_both))
        rate, batch, decay = spec["learning_rate"], spec["batch_size"], spec["decay"]
        structures = [
            (l2, DnnSettings(tuple(hidden), dropout, rate, batch, steps, decay))
            for hidden, dropout, steps, l2 in product(choice.hidden, choice.dropout, choice.steps, choice.l2)
        ]
    return [
        Setting(point, amount, strength, share, regularisation, structure)
        for point in points
        for amount, strength, share in rows
        for regularisation, structure in structures
    ]
