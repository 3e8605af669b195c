"""What the command line makes of a config."""

import pytest
from absl import flags
from ml_collections import config_flags

from experiments import command_line
from tests.commands import ROOT


@pytest.mark.parametrize(
    ("file", "arguments", "corpus", "target"),
    [
        ("emodb_wdiv.py", [], "emodb", ""),
        ("emodb_wdiv.py", ["corpus.table=a/mine.csv"], "mine", ""),
        ("emodb_wdiv.py", ["corpus.table=a/mine.csv", "corpus.name=emodb"], "emodb", ""),
        ("iemocap.py", ["corpus.table=a/mine.csv"], "iemocap", ""),
        ("iemocap.py", ["corpus.root=tfds:crema_d/x:1.0.0"], "crema_d", ""),
        ("emodb_wdiv.py", ["corpus.root=tfds:crema_d"], "crema_d", ""),
        ("cross_corpus.py", ["target.root=tfds:crema_d"], "emodb", "crema_d"),
        ("cross_corpus.py", ["target.root=tfds:crema_d", "target.name=x"], "emodb", "x"),
        ("cross_corpus.py", ["corpus.root=tfds:crema_d", "target.table=mine.csv"], "crema_d", "ravdess"),
        ("cross_corpus.py:ravdess_to_emodb", ["target.table=a/mine.csv"], "ravdess", "mine"),
    ],
)
def test_what_takes_the_place_of_a_corpus_is_named_after_itself(monkeypatch, file, arguments, corpus, target):
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values)
    words = [f"--config={ROOT}/configs/{file}", *(f"--config.{argument}" for argument in arguments)]
    monkeypatch.setattr("sys.argv", ["launch.py", *words])  # where keys of a config are looked for
    values(["launch.py", *words])
    command_line.overrides(values["config"], "")
    assert (values["config"].value.corpus.name, values["config"].value.target.name) == (corpus, target)
