"""Bad input is named before anything is trained, and the study follows from its config."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from etils import epath

from configs import emodb_ablations, emodb_study, emodb_wdiv, iemocap
from configs.common import grid
from configs.emodb_wdiv import get_config
from experiments import checks, inspection, record, settings, speech, study
from sergan import data, writers
from sergan.corpora import table_files
from sergan.errors import UserError

CLIPS = Path(__file__).parent.parent / "data" / "emodb"


@pytest.fixture
def config(tmp_path):
    config = get_config("debug")
    config.features.cache = str(tmp_path / "cache")
    config.features.workers = 1  # twenty short clips are not worth another process
    return config


@pytest.fixture
def clips(tmp_path):
    return Path(shutil.copytree(CLIPS, tmp_path / "emo db"))


def refused(config, match):
    with pytest.raises(UserError, match=match):
        study.prepare(config)


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("gan.loss", "wgan", "config.gan.loss: 'wgan' is none of gan, wdiv"),
        ("gan.cycle_reduction", "max", "config.gan.cycle_reduction: 'max'"),
        ("gan.precision", "float16", "config.gan.precision: 'float16' is none of float32, tensorfloat32, bf"),
        ("gan.view", "image", "config.gan.view: 'image' is none of spectrogram"),
        (
            "gan.view",
            "spectrogram",
            "config.gan.view=spectrogram is for config.features.set=logmel, not IS10",
        ),
        ("gan.activations", "tensorfloat32", "config.gan.activations: 'tensorfloat32' is none of"),
        ("gan.classifier_data", "all", "config.gan.classifier_data: 'all'"),
        ("normalisations", ("train", "speakr"), "config.normalisations: 'speakr' is none of train, speaker"),
        ("classifiers", ("svm", "forest"), "config.classifiers: 'forest' is none of svm, dnn"),
        ("classifiers", (), "config.classifiers must be above 0"),
        ("normalisations", (), "config.normalisations must be above 0"),
        ("seeds", 0, "config.seeds must be above 0, it is 0"),
        ("gan.epochs", 0, "config.gan.epochs must be above 0"),
        ("gan.epochs", 5, "config.gan.epochs comes to 5 steps, not a multiple of"),
        ("training.save_every", 3, "config.training.save_every comes to 3 steps"),
        ("hypers.lambda_cyc", -1.0, "config.hypers.lambda_cyc must be 0 or more"),
        ("hypers.lr_g", float("nan"), "config.hypers.lr_g must be 0 or more, it is nan"),
        ("gan.dropout", 1.0, "config.gan.dropout must lie between 0 and 1"),
        ("gan.critic", (0,), "config.gan.critic are widths of hidden layers, above 0"),
        ("normalisations", ("train", "train"), "config.normalisations names one twice"),
        ("arms", ("wdiv", "smoke"), "config.arms: 'smoke' is none of .*smote.*wdiv"),
        ("arms", ("wdiv", "wdiv"), "config.arms names one twice"),
        ("sweep", ({"lambda_cyc": 1.0}, {"lambda_cyc": -1.0}), "config.hypers.lambda_cyc must be 0 or more"),
        (
            "sweep",
            ({"lambda_cic": 1.0},),
            "config.sweep: lambda_cic is no setting .*there are lambda_cls, lambda_cyc",
        ),
        ("sweep", ({"seeds": 3},), "config.sweep: seeds is no setting of the CycleGANs to sweep"),
        (
            "sweep",
            ({"critic": 8},),
            r"config.sweep: critic=8 must be like config.gan.critic, which is \(8,\)",
        ),
        ("sweep", ({"epochs": 50}, {"epochs": 3}), "config.gan.epochs comes to 3 steps"),
        ("sweep", ({"lr_g": 1.0}, {"lr_c": 1.0}), "config.sweep: each point names the same keys, not lr_c"),
        ("choice.speakers", -1, "config.choice.speakers must be 0 or more"),
        ("protocol", "text", "config.protocol: 'text' is none of speaker, speaker_groups, session"),
        ("protocol", "session", r"config.protocol: emodb has no sessions \(only iemocap, msp_improv have\)"),
        ("corpus.part", "improvised", r"config.corpus.part: emodb has no part improvised \(only iemocap"),
        ("corpus.part", "read", "config.corpus.part: 'read' is none of improvised, scripted"),
        ("corpus.name", "tedlium", "config.corpus.name: tedlium has no emotions; use it as config.source=te"),
        ("protocol", "across", "config.target.name: protocol across needs the name of another corpus"),
        ("normalisations", ("corpus",), "'corpus' is for config.protocol=across"),
        ("target.dev_share", 1.0, "config.target.dev_share must lie between 0 and 1"),
        ("target.dev_split", "file", "config.target.dev_split: 'file' is none of speaker, clip"),
        ("curve", (1.0, 0.0), r"config.curve\[1\] must be above 0, it is 0"),
        ("choice.real_share", (0.5, 1.0), r"config.choice.real_share\[1\] must lie between 0 and 1"),
        ("choice.hidden", ((100, 0),), r"config.choice.hidden\[0\] are widths"),
        ("amount", 0.001, "config.amount=0.001 needs 0 synthetic rows per class"),
        ("training.members_per_group", -1, "config.training.members_per_group must be 0 or more"),
        ("svm.real_share", 1.0, "config.svm.real_share must lie between 0 and 1"),
        ("amount", 20.0, "config.amount=20.0 needs 1460 synthetic rows per class .* the source has 1019"),
        ("corpus.classes", ("anger", "sadnes"), "no row has the emotion 'sadnes'; there are anger, boredom"),
        ("corpus.classes", ("anger",), r"2 to 16 different emotions, not 1 \(anger\)"),
        ("corpus.name", "emodbb", "emodbb"),
        ("features.set", "IS15", "config.features.set: there is no set 'IS15'"),
        ("features.set", "eGeMAPSv02", "config.corpus.root"),
        ("source", "/no/such/folder", "/no/such/folder"),
        ("corpus.root", "/no/such/folder", "/no/such/folder"),
        ("corpus.table", "/no/such/table.csv", "/no/such/table.csv"),
    ],
)
def test_a_bad_value_is_named_with_its_key(config, key, value, match):
    config.update_from_flattened_dict({key: value})
    refused(config, match)


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        (
            "gan.critic_heads",
            True,
            "config.gan.critic_heads: with config.gan.view=spectrogram a critic has no",
        ),
        ("arms", ("wdiv", "adan", "sahu_gan"), "config.arms: adan, sahu_gan have dense layers only; leave"),
        ("gan.generator", (2, 2, 2, 2), "config.gan.generator: .* the maps of 1 to 3 halvings of 128 frames"),
        ("gan.critic", (), "config.gan.critic: .* and 40 filters, not 0"),
        ("sweep", ({"critic": (2, 2, 2, 2)}, {"critic": (2, 2, 2, 2, 2)}), "config.gan.critic: .*, not 4"),
        ("corpus.table", "toy.csv", "the columns are not those of config.features.set=logmel .first f0"),
    ],
)
def test_what_does_not_go_with_spectrograms_is_named_with_its_key(config, tmp_path, toy, key, value, match):
    config.gan.view, config.features.set, config.source = "spectrogram", "logmel", "corpus"
    config.corpus.classes = ()
    table_files.write(toy, tmp_path / "toy.csv")
    config.corpus.table = str(tmp_path / "toy.csv")
    config.update_from_flattened_dict({key: str(tmp_path / value) if key == "corpus.table" else value})
    refused(config, match)


def test_a_target_that_cannot_be_used_is_named_with_its_key(config, tmp_path, toy):
    config.protocol, config.target.name = "across", "ravdess"
    refused(config, "ravdess.* give --config.target.root=DIR")
    config.target.name = "ravdes"
    refused(config, "config.target.name: there is no corpus 'ravdes'")
    config.target.name, config.corpus.root = "tedlium", "/no/such/folder"
    refused(config, "config.target.name: tedlium has no emotions; use it as config.source=tedlium:FOLDER")
    config.target.name, config.corpus.root = "ravdes", ""
    table_files.write(toy, tmp_path / "toy.csv")
    config.target.table = str(tmp_path / "toy.csv")
    refused(config, "the second corpus: other feature columns .*1582 missing")
    config.target.name = "a/b"
    refused(config, "config.target.name: 'a/b' has a slash")
    config.target.name = "ravdes"
    embedded = data.load("emodb", "IS10")
    same = replace(
        embedded,
        x_UxD=embedded.x_UxD + 1,
        speakers_U=np.array([f"ravdes/{name[6:]}" for name in embedded.speakers_U]),
    )
    table_files.write(same.select(np.flatnonzero(same.emotions_U != "fear")), tmp_path / "same.parquet")
    config.target.table = str(tmp_path / "same.parquet")
    refused(config, "no row of each corpus has the emotion 'fear'; there are anger, boredom")


def test_what_a_dnn_has_otherwise_beside_real_rows_is_checked_too(config):
    for key, value, match in [
        ("steps", 0, "config.dnn_both.steps must be above 0, it is 0"),
        ("hidden", (0,), "config.dnn_both.hidden are widths of hidden layers"),
        ("dropout", 1.0, "config.dnn_both.dropout must lie between 0 and 1"),
        ("L2", 1.0, "config.dnn_both.L2: no key of config.dnn, which has .*l2"),
    ]:
        with config.dnn_both.unlocked():
            config.dnn_both = {key: value}
        refused(config, match)


def test_arms_that_make_nothing_of_the_source_may_have_more_rows_than_it_has(config):
    config.amount = 20.0
    config.arms = ("smote", "noise")
    assert study.prepare(config).members == []
    config.arms = ("smote", "moments")
    assert study.prepare(config).members == []  # moments is a hole
    config.arms = ("moments", "coral")
    refused(config, "config.amount=20.0 needs 1460 synthetic rows per class .* the source has 1019")


def test_a_source_whose_speakers_are_all_held_out_is_refused(config, toy):
    """Arms that take nothing of S would go on, but its rows scale the features."""
    config.corpus.classes, config.arms, config.amount = (), ("smote",), 1.0
    own = toy.unlabelled()
    study.assemble(config, speech.Rows(toy, own))
    with pytest.raises(UserError, match=r"config.source=.*: all of its speakers are held out with s2"):
        study.assemble(config, speech.Rows(toy, own.select(np.flatnonzero(own.speakers_U == "s2"))))


def test_a_sweep_without_an_arm_that_is_trained_is_refused(config):
    config.arms, config.sweep = ("noise", "smote"), grid(lambda_cyc=(1.0, 2.0))
    refused(config, "config.sweep: none of config.arms is trained; have one of ")


def test_amounts_that_are_no_row_or_there_twice_are_refused(config):
    config.curve = (1.0, 1)
    refused(config, "config.curve has 1 twice")
    config.curve = (1e-3, 1.0)
    refused(config, r"config.curve: 0.001 sets of the fold are no row of a class")


def test_speakers_of_one_row_have_no_deviation(toy):
    study.check_rows_of_speakers("source", toy)
    with pytest.raises(UserError, match=r"^source: 1 speakers have one row \(s1\)"):
        study.check_rows_of_speakers(
            "source", toy.select(np.append(np.flatnonzero(toy.speakers_U != "s1"), 0))
        )


@pytest.mark.parametrize(
    ("study_of", "preset"),
    [(iemocap, name) for name in ("", "to_msp", "bao", "to_msp_bao", "debug")]
    + [(emodb_wdiv, name) for name in ("", "paper", "bao", "debug")]
    + [(emodb_study, name) for name in ("", "speaker", "seven", "seven_speaker", "debug")],
)
def test_every_preset_is_a_config_that_can_work(study_of, preset):
    checks.check(study_of.get_config(preset))


def test_the_papers_classifiers_learn_at_a_constant_rate():
    config = iemocap.get_config("bao")
    config.choice.amounts = (1.0,)
    alike = [settings.fixed(config, "gan", "dnn", 1.0), *settings.grid(config, "gan", "dnn")]
    assert {one.structure.decay for one in alike} == {False}
    assert settings.fixed(get_config(), "gan", "dnn", 1.0).structure.decay


def test_what_a_dnn_has_otherwise_beside_real_rows_is_in_the_grid_too(config):
    config.choice.amounts, config.dnn_both = (1.0,), {"batch_size": 16, "learning_rate": 0.5}
    of = {
        arm: {
            (one.structure.batch_size, one.structure.learning_rate)
            for one in settings.grid(config, arm, "dnn")
        }
        for arm in ("real", "wdiv")
    }
    assert of == {"real": {(config.dnn.batch_size, config.dnn.learning_rate)}, "wdiv": {(16, 0.5)}}


def test_a_grid_without_values_is_refused_when_something_is_to_be_chosen(config):
    config.choice.C = ()
    study.prepare(config)
    config.choice.amounts = (1.0,)
    refused(config, "config.choice.C is empty")


def test_a_sweep_has_members_for_each_point_and_choosing_ones_on_inner_folds(config, capsys):
    config.sweep = grid(lambda_cyc=(0.5, 5, 0.5), lambda_cls=(0.0, 2.0))
    config.gan.seeds = 2
    made = study.prepare(config)
    assert "2 points were there before and are merged" in capsys.readouterr().err
    assert made.points == list(grid(lambda_cyc=(0.5, 5.0), lambda_cls=(0.0, 2.0)))
    assert len(made.inner) == 10  # each speaker is judged by two others
    assert len(made.members) == 2 * 4 * (2 * 10 + 10)
    for member in made.members:
        values = dict(member.hypers)
        assert made.points[member.point].items() <= values.items() and values["penalty_p"] == 6
    config.choice.speakers = 0
    assert len(study.prepare(config).members) == 2 * 4 * 2 * 10


def test_points_that_make_no_difference_to_an_arm_are_trained_once(config):
    config.sweep = grid(lambda_cls=(0.0, 2.0), smoothing=(0.8, 0.9))
    config.arms = ("moments", "sahu_gan", "adan", "gan")
    config.normalisations = ("train",)
    made = study.prepare(config)
    of = {arm: made.points_of(arm) for arm in config.arms}
    assert of == {"moments": [0], "sahu_gan": [0, 1], "adan": [0, 1, 2, 3], "gan": [0, 1, 2, 3]}
    for arm in ("sahu_gan", "gan"):
        points = {setting.point for setting in settings.grid(config, arm, "svm", made.points_of(arm))}
        assert points == set(of[arm])
    config.arms = ("sahu_gan", "wdiv")
    assert study.prepare(config).points_of("wdiv") == [0, 2]
    config.arms = ("wdiv",)
    refused(config, "config.sweep: smoothing makes no difference to wdiv; sweep other keys")
    config.sweep = grid(residual=(False, True))
    config.arms = ("sahu_gan", "adan", "wdiv")
    made = study.prepare(config)
    of = {arm: made.points_of(arm) for arm in config.arms}
    assert of == {"sahu_gan": [0], "adan": [0], "wdiv": [0, 1]}
    config.arms = ("sahu_gan", "adan")
    refused(config, r"its points \(residual\) make no difference to sahu_gan, adan; sweep other keys")


def test_points_may_differ_in_what_is_compiled(config):
    config.sweep = grid(critic=((8,), (8, 8)), critic_updates=(1, 2), lambda_id=(0.0, 1.0))
    made = study.prepare(config)
    assert len({member.gan for member in made.members}) == 4
    assert all(member.gan.identity for member in made.members)
    for member in made.members:
        point = made.points[member.point]
        assert (member.gan.critic, member.gan.critic_updates) == (point["critic"], point["critic_updates"])
        assert dict(member.hypers)["lambda_id"] == point["lambda_id"]


def test_clips_from_disk_make_the_same_study_as_the_embedded_rows(config, clips):
    config.corpus.root = str(clips)
    config.normalisations = ("train",)
    made = study.prepare(config)
    embedded = data.load("emodb", "IS10")
    rows = [embedded.ids_U.tolist().index(i) for i in made.corpus.ids_U]
    np.testing.assert_allclose(made.corpus.x_UxD, embedded.x_UxD[rows], rtol=1e-5)
    assert len(made.folds) == len(set(made.corpus.speakers_U))


def test_faulty_audio_is_named_before_anything_is_extracted(config, clips):
    config.corpus.root = str(clips)
    config.normalisations = ("train",)  # some of the speakers have one clip
    wavs = sorted((clips / "wav").glob("*.wav"))
    x, rate = soundfile.read(wavs[0])
    wavs[0].write_bytes(wavs[0].read_bytes()[:2000])
    soundfile.write(wavs[1], np.stack([x, -x], axis=1), rate)
    soundfile.write(wavs[2], 0 * x, rate)
    soundfile.write(wavs[3], x[: rate // 20], rate)
    wavs[4].write_text("not audio")
    with pytest.raises(UserError) as caught:
        study.prepare(config)
    assert all(wav.name in str(caught.value) for wav in wavs[:5])
    assert not list((Path(config.features.cache)).rglob("*.npy"))


def test_one_speaker_is_refused(config, clips):
    for wav in (clips / "wav").glob("*.wav"):
        if not wav.name.startswith("03"):
            wav.unlink()
    config.corpus.root = str(clips)
    config.corpus.classes = ()
    refused(config, "one speaker")


def test_a_run_folder_of_an_older_version_has_the_defaults_of_keys_that_it_lacks(config, tmp_path):
    values = json.loads(config.to_json())
    del values["gan"]["view"], values["features"]["store"]
    writers.write_json(tmp_path / "config.json", {"config": values | {"gone": 1}, "started": None})
    with config.unlocked():
        config.own = "a key of the user's, that nothing reads"
    record.record_of(epath.Path(tmp_path), config, {}, "command")
    config.gan.view = "spectrogram"
    with pytest.raises(UserError, match=r"\(config.gan.view differ\)"):
        record.record_of(epath.Path(tmp_path), config, {}, "command")


def test_a_table_that_has_changed_since_is_not_gone_on_with(config, tmp_path, toy):
    config.corpus.table = config.source = str(tmp_path / "mine.csv")
    table_files.write(toy, tmp_path / "mine.csv")
    run = epath.Path(tmp_path / "run")
    run.mkdir()
    writers.write_json(run / "config.json", record.record_of(run, config, {}, "command"))
    record.record_of(run, config, {}, "command")
    table_files.write(replace(toy, emotions_U=toy.emotions_U[::-1]), tmp_path / "mine.csv")
    with pytest.raises(
        UserError, match=r"mine\.csv: has changed since .*run was begun with it; name another"
    ):
        record.record_of(run, config, {}, "command")
    (tmp_path / "mine.csv").unlink()  # the run folder has the rows
    record.record_of(run, config, {}, "command")


def test_the_store_is_harmless_and_may_be_missing(config):
    config.features.store = "somewhere"
    assert speech.extraction(config).store == "somewhere" and "features.store" in record.HARMLESS
    del config.features["store"]
    assert speech.extraction(config).store == ""


def acted(toy, config, tmp_path):
    """The toy corpus with IEMOCAP's names: four speakers of two sessions, half of each improvised."""
    who = {"s1": "Ses01F", "s2": "Ses01M", "s3": "Ses02F", "s4": "Ses02M"}
    names = [who[speaker] for speaker in toy.speakers_U.tolist()]
    scenes = ["impro01", "script01_1"]
    table = replace(
        toy,
        speakers_U=np.array([f"iemocap/{name}" for name in names]),
        ids_U=np.array([f"iemocap/{w}_{scenes[i % 2]}_{w[-1]}{i:03d}" for i, w in enumerate(names)]),
    )
    table_files.write(table, tmp_path / "acted.parquet")
    table_files.write(replace(toy, x_UxD=toy.x_UxD + 1), tmp_path / "speech.parquet")
    config.update_from_flattened_dict(
        {
            "corpus.name": "iemocap",
            "corpus.table": str(tmp_path / "acted.parquet"),
            "corpus.classes": (),
            "source": str(tmp_path / "speech.parquet"),
            "amount": 0.0,
        }
    )
    return table


def test_one_session_is_left_out(config, tmp_path, toy):
    table = acted(toy, config, tmp_path)
    config.protocol = "session"
    made = study.prepare(config)
    assert [fold.held_out for fold in made.folds] == [
        ("iemocap/Ses01F", "iemocap/Ses01M"),
        ("iemocap/Ses02F", "iemocap/Ses02M"),
    ]
    table_files.write(replace(table, speakers_U=toy.speakers_U), tmp_path / "acted.parquet")
    refused(config, "'s1' is no speaker of IEMOCAP like iemocap/Ses01F")


def test_a_part_of_the_corpus(config, tmp_path, toy):
    table = acted(toy, config, tmp_path)
    config.corpus.part = "improvised"
    made = study.prepare(config)
    assert made.corpus.ids_U.tolist() == [clip for clip in table.ids_U.tolist() if "impro" in clip]
    config.source = "corpus"
    assert study.prepare(config).source.ids_U.tolist() == made.corpus.ids_U.tolist()
    table_files.write(table.select(np.arange(1, 64, 2)), tmp_path / "acted.parquet")
    refused(config, "config.corpus.part=improvised: the corpus has no improvised clip")


def test_the_other_part_as_a_source_is_held_out_with_its_speakers(config, tmp_path, toy):
    """Its rows are no rows of the study, but said by speakers that are tested."""
    table = acted(toy, config, tmp_path)
    config.corpus.part = "improvised"
    config.normalisations = ("train",)
    scripted = table.select(np.arange(1, 64, 2))
    table_files.write(replace(scripted, speakers_U=np.full(32, "scripted")), tmp_path / "speech.parquet")
    made = study.prepare(config)
    assert made.source.speakers_U.tolist() == scripted.speakers_U.tolist()
    for member in made.members:
        heard = made.source.speakers_U[made.view(member).source_R]
        assert len(heard) == 24 and made.folds[member.fold].held_out[0] not in heard


@pytest.fixture
def to_ravdess(config, tmp_path):
    """EMO-DB to 32 clips of noise with RAVDESS's names: four actors, two classes."""
    rng = np.random.default_rng(0)
    (tmp_path / "RAVDESS").mkdir()
    for actor in range(1, 5):
        for i in range(8):
            name = f"03-01-{('04', '05')[i % 2]}-01-0{1 + i // 4}-0{1 + i // 2 % 2}-{actor:02}.wav"
            soundfile.write(tmp_path / "RAVDESS" / name, rng.normal(0, 0.1, 4800), 16000)
    config.update_from_flattened_dict(
        {"protocol": "across", "target.name": "ravdess", "target.root": str(tmp_path / "RAVDESS")}
    )
    config.update_from_flattened_dict({"corpus.classes": ("anger", "sadness"), "amount": 0.0})
    config.normalisations = ("train",)
    return config


@pytest.mark.parametrize("store", [True, False])
def test_clips_of_the_target_in_the_source_never_train(to_ravdess, tmp_path, store):
    """A folder of the target's clips under other names, as another format, and one of other speech."""
    config, place = to_ravdess, tmp_path / "speech"
    config.features.store = str(tmp_path / "store") if store else ""
    for name in ("a", "b"):
        (place / name).mkdir(parents=True)
    for i, clip in enumerate(sorted((tmp_path / "RAVDESS").iterdir())[::3]):
        soundfile.write(place / "a" / f"{i}.flac", *soundfile.read(clip, dtype="int16"))
    for i in range(5):
        noise = np.random.default_rng(100 + i).normal(0, 0.1, 4800)
        soundfile.write(place / "b" / f"{i}.wav", noise, 16000)
    config.source = str(place)
    made = study.prepare(config)
    assert {who for who in made.source.speakers_U.tolist() if "ravdess" in who} == {
        f"ravdess/0{actor}" for actor in range(1, 5)
    }
    assert made.members
    for member in made.members:
        assert set(made.source.speakers_U[made.view(member).source_R].tolist()) == {"speech/b"}
    shutil.move(place / "b" / "0.wav", place / "a" / "other.wav")
    refused(config, "11 of its 16 rows are clips of the corpus, and 1 more are of the same folders")


def test_the_target_itself_is_no_source(to_ravdess, tmp_path):
    to_ravdess.source = f"ravdess:{tmp_path / 'RAVDESS'}"
    refused(to_ravdess, "all of its speakers are held out with ravdess/01")


def test_the_corpus_as_its_own_source_is_every_clip_of_the_training_speakers(config):
    config.source = "corpus"
    made = study.prepare(config)
    assert len(made.source.ids_U) == 535 and set(made.source.emotions_U) == {""}
    for member in made.members[:10]:
        view, fold = made.view(member), made.folds[member.fold]
        assert not set(made.source.speakers_U[view.source_R]) & set(fold.held_out)
        inside = np.concatenate([made.source.x_UxD[view.source_R], made.corpus.x_UxD[fold.train_R]])
        np.testing.assert_allclose(view.scaler.apply(inside).max(), 1, atol=1e-5)


def test_a_source_of_the_corpus_own_clips_is_held_out_with_its_speakers(config, clips):
    config.source = str(clips / "wav")
    config.normalisations = ("train",)
    config.amount = 0.0
    made = study.prepare(config)
    for member in made.members[:10]:
        view, fold = made.view(member), made.folds[member.fold]
        heard = {made.source.ids_U[r].split("/")[-1][:2] for r in view.source_R}
        assert fold.held_out[0].split("/")[1] not in heard


def test_both_normalisations_work_on_the_same_folds(config):
    made = study.prepare(config)
    x_UxD, x_SxD = made.tables["speaker"]
    one = made.source.speakers_U == made.source.speakers_U[0]
    np.testing.assert_allclose(x_SxD[one].mean(axis=0), 0, atol=1e-3)
    assert made.tables["train"][0] is made.corpus.x_UxD
    assert x_UxD.shape == made.corpus.x_UxD.shape
    assert [m.normalisation for m in made.members] == ["train"] * 10 + ["speaker"] * 10


def test_rows_kept_in_a_run_folder_give_the_same_study(config, tmp_path):
    made = study.prepare(config)
    speech.keep(made.rows, tmp_path)
    again = study.restore(config, tmp_path)
    np.testing.assert_array_equal(again.corpus.x_UxD, made.corpus.x_UxD)
    np.testing.assert_array_equal(again.source.ids_U, made.source.ids_U)
    assert again.members == made.members


def test_other_emotions_of_the_corpus_are_known_in_speech_that_is_given_later(config, tmp_path):
    """Their clips are no rows of the study, but their speakers are held out all the same."""
    speech.keep(study.prepare(config).rows, tmp_path)
    everything = data.load("emodb", "IS10")
    bored = everything.select(np.flatnonzero(everything.emotions_U == "boredom"))
    nameless = replace(bored, speakers_U=np.full(len(bored.ids_U), "boredom")).unlabelled()
    table_files.write(nameless, tmp_path / "boredom.npz")
    again = study.restore(config, tmp_path)
    assert len(again.unused.ids_U) == 535 - 408 and not set(again.unused.ids_U) & set(again.corpus.ids_U)
    given = again.other_speech(str(tmp_path / "boredom.npz"), speech.extraction(config))
    assert given.speakers_U.tolist() == bored.speakers_U.tolist()


def test_across_corpora_speech_of_the_targets_speakers_is_known_by_their_names(config, tmp_path, toy):
    one, two = (replace(toy, ids_U=np.char.add(f"{n}/", toy.ids_U), x_UxD=toy.x_UxD + n) for n in (1, 2))
    two = replace(two, speakers_U=np.char.add("t", toy.speakers_U))
    speakers_U = np.where(np.arange(len(two.ids_U)) % 3 == 0, "else", two.speakers_U)
    heard = replace(two.unlabelled(), x_UxD=toy.x_UxD + 3, speakers_U=speakers_U)
    for name, table in (("one", one), ("two", two), ("speech", heard)):
        table_files.write(table, tmp_path / f"{name}.npz")
    config.update_from_flattened_dict(
        {
            "protocol": "across",
            "corpus.name": "one",
            "corpus.table": str(tmp_path / "one.npz"),
            "target.name": "two",
            "target.table": str(tmp_path / "two.npz"),
            "source": str(tmp_path / "speech.npz"),
            "amount": 0.1,
        }
    )
    config.corpus.classes, config.normalisations = (), ("train",)
    made = study.prepare(config)
    assert set(made.source.speakers_U) == {"else", *(f"two/ts{n}" for n in (1, 2, 3, 4))}
    view = made.view(made.members[0])
    assert set(made.source.speakers_U[view.source_R]) == {"else"}
    assert made.view(made.members[0]) is view  # S is measured once
    config.target.labels = "{'anger': 'sadness', 'sadness': 'anger'}"  # words that mean something else there
    swapped = study.prepare(config)
    same_U = made.corpus.emotions_U == swapped.corpus.emotions_U
    np.testing.assert_array_equal(same_U, np.char.startswith(swapped.corpus.speakers_U, "one/"))
    config.target.labels = "{'joy': 'anger'}"
    refused(config, "config.target.labels: no row has the emotion 'joy'")


def test_one_feature_is_refused(config, tmp_path, toy):
    table_files.write(replace(toy, x_UxD=toy.x_UxD[:, :1], names_D=("f0",)), tmp_path / "mine.csv")
    config.corpus.table = config.source = str(tmp_path / "mine.csv")
    config.corpus.classes = ()
    refused(config, "config.corpus: its one feature is f0; a study needs 2 or more")


def test_copies_under_another_speakers_name_are_told(config, tmp_path, toy, caplog):
    x_UxD = toy.x_UxD.copy()
    other = int(np.argmax(toy.speakers_U != toy.speakers_U[0]))
    x_UxD[other] = x_UxD[0]
    table_files.write(replace(toy, x_UxD=x_UxD), tmp_path / "mine.csv")
    config.corpus.table = config.source = str(tmp_path / "mine.csv")
    config.corpus.classes, config.amount = (), 1.0
    study.prepare(config)
    said = f"corpus: 1 rows are copies of another speaker's (first {toy.ids_U[other]} and {toy.ids_U[0]})"
    assert said in caplog.text


def test_columns_that_are_no_features_are_refused(config, tmp_path, toy):
    config.corpus.table = config.source = str(tmp_path / "mine.csv")
    config.corpus.classes = ()
    table_files.write(replace(toy, names_D=("fold", *toy.names_D[1:])), tmp_path / "mine.csv")
    refused(config, "features cannot be called fold, which are columns of the synthetic rows; rename them")
    x_UxD = toy.x_UxD.copy()
    x_UxD[:, 1] = np.unique(toy.emotions_U, return_inverse=True)[1]
    table_files.write(replace(toy, x_UxD=x_UxD), tmp_path / "mine.csv")
    refused(config, f"{toy.names_D[1]} has one value for each emotion, so that it is a label and no feature")


def test_a_feature_table_is_a_corpus(config, tmp_path, toy):
    table_files.write(toy, tmp_path / "mine.csv")
    table_files.write(toy.select(np.arange(20)), tmp_path / "speech.parquet")
    config.corpus.table = str(tmp_path / "mine.csv")
    config.corpus.classes = ()
    config.source = str(tmp_path / "speech.parquet")
    config.amount = 0.0
    made = study.prepare(config)
    assert made.classes == ("anger", "sadness") and len(made.folds) == 4 and made.members[0].gan.features == 6


def test_the_whole_study_has_inner_folds_with_cyclegans_of_their_own(config):
    made = study.assemble(emodb_study.get_config(), study.prepare(config).rows)
    assert len(made.inner) == 45 and len(made.members) == 2 * (5 * 10 + 45)
    for member in made.members:
        view, fold = made.view(member), made.fold(member.fold)
        assert not set(made.corpus.speakers_U[np.concatenate(view.target_KxR)]) & set(fold.held_out)
        assert len(fold.held_out) == (2 if fold.inner else 1)


@pytest.mark.parametrize("preset", ["", "debug", "paper", "bao"])
def test_every_preset_makes_a_study(config, preset):
    made = study.assemble(get_config(preset), study.prepare(config).rows)
    assert made.members[0].gan.features == 1582 and len(made.members) == (20 if preset else 40)
    if preset == "bao":
        assert (made.members[0].gan.loss, made.members[0].gan.generator, made.members[0].gan.steps) == (
            "gan",
            (1000, 500, 1000),
            2000,
        )
    if preset == "paper":
        assert (
            made.members[0].gan.critic,
            made.members[0].gan.batch_size,
            made.members[0].gan.pretrain_steps,
        ) == ((800, 800), 128, 5000)


@pytest.mark.parametrize(
    ("preset", "points", "gan"),
    [
        ("default", 1, {"residual": True, "pretrain_steps": 0, "generator_updates": 2, "critic_updates": 1}),
        ("lambda_cyc", 7, {"identity": False}),
        ("lambda_cls", 5, {"identity": False}),
        ("lambda_id", 4, {"identity": True}),
        ("penalty", 6, {"loss": "wdiv"}),
        ("smoothing", 3, {"loss": "gan"}),
        ("precision", 6, {"precision": "float32", "activations": "float32"}),
        ("pretrained", 1, {"residual": False, "pretrain_steps": 200}),
        ("plain", 1, {"residual": False, "pretrain_steps": 0}),
        ("heads", 1, {"residual": True}),
        ("updates_1_1", 1, {"generator_updates": 1, "critic_updates": 1}),
        ("updates_1_4", 1, {"generator_updates": 1, "critic_updates": 4}),
        ("corpus", 1, {"residual": True}),
    ],
)
def test_every_ablation_varies_what_it_is_called_after(preset, points, gan):
    made = study.prepare(emodb_ablations.get_config(preset))
    first = made.members[0].gan
    assert len(made.points) == points and len(made.members) == 10 * points
    assert {name: getattr(first, name) for name in gan} == gan
    assert bool(first.heads) == (preset == "heads")
    assert (made.source.names_D, len(made.source.ids_U)) == (
        made.corpus.names_D,
        535 if preset == "corpus" else 1019,
    )


def test_a_speaker_of_one_row_cannot_be_normalised_alone(config, tmp_path, toy):
    table_files.write(toy, tmp_path / "mine.csv")
    speakers = np.array(["talkative"] * 8 + ["a single clip"])
    lonely = replace(toy.select(np.arange(9)), x_UxD=toy.x_UxD[:9] + 1, speakers_U=speakers)
    table_files.write(lonely, tmp_path / "speech.npz")
    config.update_from_flattened_dict(
        {"corpus.table": str(tmp_path / "mine.csv"), "source": str(tmp_path / "speech.npz"), "amount": 0.0}
    )
    config.corpus.classes = ()
    refused(config, r"1 speakers have one row \(a single clip\)")


def test_a_source_that_is_not_there_is_named_before_the_corpus_is_extracted(config, clips, monkeypatch):
    def extracted(*_, **__):
        raise AssertionError("the corpus was extracted")

    monkeypatch.setattr("sergan.features.extract", extracted)
    config.corpus.root = str(clips)
    for source, message in {
        "/typo": "config.source: '/typo' is neither speech nor corpus",
        "tedlium:/typo": "/typo: no such folder",
        "none.parquet": r"config.source: there is no file 'none\.parquet'",
    }.items():
        config.source = source
        refused(config, message)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"training.save_every": 3}, "config.training.save_every comes to 3 steps"),
        ({"amount": 1e-9}, "config.amount=1e-09 needs 0 synthetic rows per class"),
        ({"protocol": "across", "target.name": "ravdess", "target.root": "/typo"}, "/typo: no such folder"),
        ({"protocol": "speaker_text", "choice.speakers": 0, "source": "corpus"}, "has the corpus's speakers"),
    ],
)
def test_what_labels_show_is_told_before_the_corpus_is_extracted(config, clips, monkeypatch, change, match):
    monkeypatch.setattr("sergan.features.extract", None)
    config.corpus.root = str(clips)
    for key, value in change.items():
        part, _, name = key.rpartition(".")
        (config[part] if part else config)[name] = value
    refused(config, match)


def test_the_corpus_cut_otherwise_is_no_source(config, clips, monkeypatch):
    monkeypatch.setattr("sergan.features.extract", None)
    wavs = sorted((clips / "wav").glob("*.wav"))
    lines = [f"wav/{wav.name},{emotion_of(wav)},{wav.name[:2]},0.1,1.0" for wav in wavs]
    (clips / "mine.csv").write_text("\n".join(["file,emotion,speaker,start,end", *lines]))
    config.corpus.table, config.source = str(clips / "mine.csv"), str(clips / "wav")
    config.corpus.classes, config.normalisations = (), ("train",)
    message = r"source .*wav: 20 of its clips are of files that the corpus cuts otherwise \(first wav"
    refused(config, message)
    with pytest.raises(UserError, match=message):
        inspection.inspect(config)
    other = [f"wav/{wav.name},{wav.name[:2]}" for wav in wavs]  # whole, and of the same speakers by name
    (clips / "other.csv").write_text("\n".join(["file,speaker", *other]))
    config.source = str(clips / "other.csv")
    inspection.inspect(config)


def test_speakers_of_a_table_are_known_by_the_names_of_their_corpus(config, clips):
    wavs = sorted((clips / "wav").glob("*.wav"))
    lines = [f"wav/{wav.name},{emotion_of(wav)},{wav.name[:2]},0,1.2" for wav in wavs]
    (clips / "mine.csv").write_text("\n".join(["file,emotion,speaker,start,end", *lines]))
    other = shutil.copytree(clips, clips.parent / "other")
    config.corpus.table, config.source = str(clips / "mine.csv"), f"emodb:{other}"
    config.corpus.classes, config.normalisations = (), ("train",)
    made = study.prepare(config)
    assert set(made.source.speakers_U) == set(made.corpus.speakers_U)
    assert not set(made.source.speakers_U[made.view(made.members[0]).source_R]) & set(made.folds[0].held_out)


def emotion_of(wav):
    return "loud" if wav.name[5] in "WFAE" else "quiet"


def test_part_of_the_corpus_hidden_in_the_source_is_refused(config, tmp_path):
    """The corpus's table has five classes, the source all clips: some cannot be told from the held-out's."""
    everything = data.load("emodb", "IS10")
    five = everything.select(np.flatnonzero(np.isin(everything.emotions_U, tuple(config.corpus.classes))))
    renamed = everything.unlabelled()
    renamed.speakers_U[:] = "wav"
    table_files.write(five, tmp_path / "five.npz")
    table_files.write(renamed, tmp_path / "all.npz")
    config.update_from_flattened_dict(
        {"corpus.table": str(tmp_path / "five.npz"), "source": str(tmp_path / "all.npz")}
    )
    refused(config, "408 of its 535 rows are clips of the corpus, and 127 more")


def test_an_amount_is_the_config_s_own_or_that_of_the_source_s_rows(config, toy):
    for amount, expected in ((0.25, 0.25), (1, 1.0), (0.0, 2.0)):  # 48 rows of S for two classes and 48 rows
        config.amount, config.corpus.classes = amount, ()
        found = study.assemble(config, speech.Rows(toy, toy.unlabelled())).amount
        assert isinstance(found, float) and found == expected
