"""Mappings of names: read from a flag, applied to emotions, and refused by their key."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from experiments.classes import chosen_classes
from sergan import inputs, mapping
from sergan.errors import UserError
from tests.fuzzing import fuzzed


def test_names_are_read_and_stripped():
    assert mapping.parse("{'Wut': 'anger', \"W\":'anger ', 'Über druss':'a'}", "k") == {
        "Wut": "anger",
        "W": "anger",
        "Über druss": "a",
    }
    assert mapping.parse("", "k") == mapping.parse(" ", "k") == mapping.parse("{}", "k") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Wut=anger", r"config\.corpus\.labels: a mapping like \{'Wut': 'anger', .*, not 'Wut=anger'"),
        ("{'Wut', 'anger'}", "a mapping like"),
        ("{'Wut': 1}", "a mapping like"),
        ("{'Wut': ['a']}", "a mapping like"),
        ("{**{'a': 'b'}}", "a mapping like"),
        ("{'Wut': __import__('os').system('true')}", "a mapping like"),
        ("{'Wut': 'anger'", "a mapping like"),
        ("[" * 500, "a mapping like"),
        ("{'W': 'anger', 'W': 'fear'}", "'W' is mapped twice; leave one"),
        ("{'W': ' '}", "no name, .*in 'W': ''"),
        ("{'': 'anger'}", "no name, or one with control characters, in '': 'anger'"),
        ("{'a': 'b\\n'}".replace("b", "b\\tc"), "control characters, in 'a'"),
    ],
)
def test_faults_are_named(text, message):
    with pytest.raises(UserError, match=message) as caught:
        mapping.parse(text, "corpus.labels")
    assert str(caught.value).startswith("config.corpus.labels: ")


@fuzzed(100)
@given(st.text(alphabet="{}[]()'\",:ab* \\\0\n", max_size=30) | st.text(max_size=10))
@example("{'\\ud800': 'a'}")
@example("{'a': b'b'}")
def test_any_text_is_read_or_refused(text):
    try:
        found = mapping.parse(text, "k")
    except UserError as error:
        assert str(error).startswith("config.k: ")
    else:
        assert all(old and new and isinstance(new, str) for old, new in found.items())


@fuzzed(50)
@given(
    st.dictionaries(
        *[st.text(min_size=1, max_size=9).filter(lambda t: t == t.strip() and t.isprintable())] * 2
    )
)
def test_what_python_writes_is_read(names):
    assert mapping.parse(repr(names), "k") == {old.strip(): new for old, new in names.items()}


NAMES = st.sampled_from(["anger", "sadness", "Wut", "file", "id", "speaker", "table", " ", "a\tb"]) | st.text(
    max_size=3
)
NAMES = NAMES | st.integers() | st.none()


@fuzzed(50)
@given(st.dictionaries(NAMES, NAMES, max_size=3))
def test_any_mapping_is_of_labels_and_columns_or_refused_by_its_key(toy, names):
    with contextlib.suppress(UserError):
        found = mapping.parse(repr(names), "k")
        assert mapping.renamed(toy, found).ids_U.tolist() == toy.ids_U.tolist()
        for check in (lambda: mapping.check(toy, found, "k"), lambda: inputs.check_columns(found, "k")):
            try:
                check()
            except UserError as error:
                assert str(error).startswith("config.k: ")


def test_an_umlaut_may_be_two_characters_in_the_config(toy):
    emotions_U = np.where(toy.emotions_U == "anger", "\u00c4rger", toy.emotions_U)
    table = replace(toy, emotions_U=emotions_U)
    mapping.check(table, {"A\u0308rger": "anger"}, "corpus.labels")
    assert mapping.renamed(table, {"A\u0308rger": "anger"}).emotions_U.tolist() == toy.emotions_U.tolist()
    assert chosen_classes(["A\u0308rger", "fear"], ["fear", "\u00c4rger"], "none") == ("\u00c4rger", "fear")


def test_emotions_are_merged_and_others_stay(toy):
    merged = mapping.renamed(toy, {"anger": "sadness"})
    assert set(merged.emotions_U.tolist()) == {"sadness"}
    swapped = mapping.renamed(toy, {"anger": "sadness", "sadness": "Ärger lang"})
    assert swapped.emotions_U[0] == "sadness" and swapped.emotions_U[8] == "Ärger lang"
    assert mapping.renamed(toy, {}).emotions_U.tolist() == toy.emotions_U.tolist()


def test_a_key_that_no_row_has_is_named(toy):
    mapping.check(toy, {"anger": "x"}, "corpus.labels")
    with pytest.raises(UserError, match=r"labels: no row has the emotion 'Wut'; there are anger, sadness"):
        mapping.check(toy, {"anger": "x", "Wut": "anger"}, "corpus.labels")
