"""Installed fonts for labels in scripts that matplotlib's own font lacks, such as Chinese ones."""

import logging
import sys
import unicodedata
from functools import lru_cache

from matplotlib import font_manager, ft2font
from matplotlib.figure import Figure
from matplotlib.text import Text

_OWN = "DejaVu Sans"  # comes with matplotlib
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # of weights that a font lacks


def widen(figure: Figure) -> None:
    """Lets a figure's texts use more fonts where its own lacks a character; says which no font has."""
    texts = figure.findobj(Text)
    lacking = frozenset("".join(text.get_text() for text in texts)) - _characters(_own_path())
    lacking = frozenset(char for char in lacking if unicodedata.category(char)[0] != "C")
    if not lacking:
        return
    families, without = _families(lacking)
    for text in texts:
        text.set_fontfamily([_OWN, *families])
    if without:
        _tell("".join(sorted(without)))


@lru_cache
def _families(lacking: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """Families that together have the characters, as few as are found in turn, and what none has."""
    families = []
    for path in sorted(font_manager.findSystemFonts()):
        found = lacking & _characters(path)
        if found:
            font_manager.fontManager.addfont(path)  # its list of fonts may be older than this one
            families.append(ft2font.FT2Font(path).family_name)
            lacking -= found
    return families, lacking


@lru_cache
def _characters(path: str) -> frozenset[str]:
    """None of a file that cannot be read as a font."""
    try:
        return frozenset(map(chr, ft2font.FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


def _own_path() -> str:
    return font_manager.findfont(_OWN)


@lru_cache
def _tell(without: str) -> None:
    """Once for the same characters."""
    print(
        f"figures: no installed font has {without}; they are shown as boxes until one is installed, for "
        "example Noto Sans CJK (fonts-noto-cjk), and the report is made again",
        file=sys.stderr,
    )
