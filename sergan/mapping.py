"""Names by other names, as a config gives them: {'Wut': 'anger', 'W': 'anger'}."""

import ast
import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sergan.corpora.clip_table import CONTROLS
from sergan.corpora.tables import FeatureTable, listed
from sergan.corpora.words import word
from sergan.errors import UserError


def parse(text: str, key: str) -> dict[str, str]:
    """The mapping that `text` is, in Python's form, surrounding spaces taken away; '' is none.

    Raises:
      UserError: naming config.`key`: text of another form, an empty name, or a name that is mapped twice.
    """
    if not text.strip():
        return {}
    pairs = _pairs(text)
    if pairs is None:
        raise UserError(f"config.{key}: a mapping like {{'Wut': 'anger', 'W': 'anger'}}, not {text[:80]!r}")
    names = [old for old, _ in pairs]
    twice = sorted({old for old in names if names.count(old) > 1})
    if twice:
        raise UserError(f"config.{key}: {twice[0]!r} is mapped twice; leave one")
    for old, new in pairs:
        if not old or not new or CONTROLS.search(old + new):
            raise UserError(f"config.{key}: no name, or one with control characters, in {old!r}: {new!r}")
    return dict(pairs)


def _pairs(text: str) -> list[tuple[str, str]] | None:
    """The pairs of words in the text; None if it is of another form."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    if not isinstance(tree, ast.Dict):
        return None
    words = [node.value if isinstance(node, ast.Constant) else None for node in [*tree.keys, *tree.values]]
    if not all(isinstance(word, str) for word in words):
        return None
    stripped = [str(word).strip() for word in words]
    return list(zip(stripped[: len(tree.keys)], stripped[len(tree.keys) :], strict=True))


def renamed(table: FeatureTable, labels: Mapping[str, str]) -> FeatureTable:
    """The same rows with the emotions that `labels` gives; those that are not in it stay as they are."""
    spelt = {word(old): word(new) for old, new in labels.items()}
    emotions = [spelt.get(emotion, emotion) for emotion in table.emotions_U.tolist()]
    return replace(table, emotions_U=np.array(emotions, dtype=str))


def check(table: FeatureTable, labels: Mapping[str, str], key: str) -> None:
    """Raises UserError, naming config.`key`, for a mapped emotion that no row has."""
    present = sorted(set(table.emotions_U.tolist()) - {""})
    missing = [repr(old) for old in labels if word(old) not in present]
    if missing:
        raise UserError(
            f"config.{key}: no row has the emotion {listed(missing)}; there are {listed(present, 20)}"
        )
