"""Labels in any script: fonts are found for them, or it is said what lacks one."""

import io
import warnings

import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure

from sergan import fonts

STIX = font_manager.findfont("STIXGeneral")  # comes with matplotlib, too
ONLY_STIX = min(fonts._characters(STIX) - fonts._characters(fonts._own_path()))


@pytest.fixture(autouse=True)
def _afresh():
    fonts._families.cache_clear()
    fonts._tell.cache_clear()


def drawn(label, widen=fonts.widen):
    """The figure of a label, and what matplotlib warns of as it is drawn."""
    figure = Figure()
    figure.subplots().set_title(label)
    widen(figure)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(io.BytesIO(), format="png")
    return figure, [str(warning.message) for warning in caught]


def test_a_font_is_found_that_has_what_the_default_one_lacks(monkeypatch, tmp_path, capsys):
    _, warned = drawn(ONLY_STIX, widen=lambda figure: None)
    assert any("missing" in said for said in warned)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path), STIX])
    figure, warned = drawn(f"anger {ONLY_STIX}")
    assert not warned and not capsys.readouterr().err
    assert figure.axes[0].title.get_fontfamily() == ["DejaVu Sans", "STIXGeneral"]


def test_a_character_of_no_font_is_named_once(monkeypatch, capsys):
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    for _ in range(2):
        drawn("\u60b2 and \u559c")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "\u559c\u60b2" in said and "fonts-noto-cjk" in said


def test_figures_of_ordinary_labels_are_left_alone():
    figure, warned = drawn("W\u00fct \u2212 \u03bb")
    assert not warned and figure.axes[0].title.get_fontfamily() == ["sans-serif"]
