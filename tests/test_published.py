"""Published numbers: as printed, and beside ours only where they are like for like."""

import pytest

from sergan import published

FIVE = ("anger", "fear", "happiness", "neutral", "sadness")


@pytest.mark.parametrize(
    ("arm", "classifier", "uar", "wa"),
    [
        ("real+noise", "dnn", 82.73, 82.06),
        ("real+noise", "svm", 80.25, 81.12),
        ("real+smote", "dnn", 81.51, 82.43),
        ("real+smote", "svm", 79.51, 80.93),
        ("real+gan", "dnn", 82.50, 83.55),
        ("real+gan", "svm", 80.30, 81.50),
        ("real+wdiv", "dnn", 83.33, 84.49),
        ("real+wdiv", "svm", 80.08, 81.07),
    ],
)
def test_the_journals_numbers_not_the_preprints(arm, classifier, uar, wa):
    assert published.beside(FIVE)[arm, classifier] == (uar, wa)


def test_only_our_arms_on_the_same_emotions_stand_beside_ours():
    assert len(published.beside(FIVE)) == 8
    assert published.beside((*FIVE, "boredom", "disgust")) == {}
    assert published.beside(("boredom", *FIVE[1:])) == {}
    assert published.beside(()) == {}


def test_the_rest_is_quoted_with_its_number_of_classes():
    apart = published.apart(FIVE)
    assert list(apart["arm"]) == ["2D-ACRNN", "3D-ACRNN"]
    assert list(apart["uar"]) == [79.38, 82.82]
    assert set(apart["classes"]) == {7}
    assert len(published.apart(())) == 10
    assert set(published.apart(())["source"]) == set(published.SOURCES)


def test_where_the_preprint_differs_is_said():
    note = published.preprint_note()
    assert "UAR 80.75 instead of 82.73 for real+noise with the DNN" in note
    assert "WA 80.83 instead of 80.93 for real+smote with the SVM" in note
    assert note.count("instead") == 2
