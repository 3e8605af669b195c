"""The folds that `config.protocol` asks for, and the inner ones on which settings are chosen."""

from typing import Any

import numpy as np

from experiments import points
from experiments.classes import is_target
from experiments.points import Point
from sergan import folds
from sergan.corpora import CORPORA, texts
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError
from sergan.folds import Fold


def outer(config: Any, corpus: FeatureTable, source: FeatureTable, classes: tuple[str, ...]) -> list[Fold]:
    """The folds of `config.protocol`.

    Raises:
      UserError: they cannot be made of these rows.
    """
    if config.protocol == "speaker":
        return folds.loso(corpus, classes)
    if config.protocol == "speaker_groups":
        return folds.speaker_groups(corpus, config.groups, classes)
    if config.protocol == "session":
        return folds.leave_out(corpus, _sessions(config, corpus), "session", classes)
    if config.protocol == "across":
        return [_across(config, corpus, classes)[0]]
    known = [name for name, one in CORPORA.items() if one.text]
    if config.corpus.name not in known:
        raise UserError(
            f"config.protocol={config.protocol}: the texts of {config.corpus.name} are not known; those of "
            f"{', '.join(known)} are"
        )
    if chooses(config, points.resolve(config)):
        raise UserError(f"config.protocol={config.protocol}: nothing is chosen; set config.choice.speakers=0")
    if set(corpus.speakers_U.tolist()) & set(source.speakers_U.tolist()):
        raise UserError(
            f"config.protocol={config.protocol}: config.source={config.source} has the corpus's speakers, "
            "and what they say there is not known"
        )
    return folds.speaker_and_text(corpus, texts(config.corpus.name, corpus.ids_U), classes)


def inner(config: Any, corpus: FeatureTable, outer: list[Fold], classes: tuple[str, ...]) -> list[Fold]:
    """The folds on which settings are chosen."""
    if config.protocol == "across":
        return [_across(config, corpus, classes)[1]]
    return folds.pairs(corpus, outer, classes, config.choice.speakers)


def chooses(config: Any, swept: list[Point]) -> bool:
    """Whether settings are chosen on inner folds: there are several, and speakers that judge them."""
    return config.choice.speakers > 0 and (bool(config.choice.amounts) or len(swept) > 1)


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


def _across(config: Any, corpus: FeatureTable, classes: tuple[str, ...]) -> tuple[Fold, Fold]:
    """The fold across corpora and its inner one."""
    target = config.target
    return folds.across(corpus, is_target(config, corpus), classes, target.dev_share, target.dev_split)
