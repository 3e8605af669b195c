"""Bad command lines and configs: each is refused with exit code 2 and a message that names what to mend."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.common import grid
from configs.emodb_wdiv import get_config
from experiments import config_file, study
from sergan.errors import UserError
from sergan.page import flat
from tests.commands import DEBUG, launch, refused
from tests.fuzzing import fuzzed

TOO_MANY = ";".join(
    f"{key}=0,1,2,3,4,5,6,7,8,9" for key in ("lr_c", "lr_g", "lr_cls", "lambda_cyc", "lambda_id")
)
NAN, INF = float("nan"), float("inf")
HUGE = 10**18


@pytest.fixture
def config(toy_folder):
    """A debug study of the toy corpus."""
    config = get_config("debug")
    config.corpus.table = str(toy_folder / "corpus.parquet")
    config.source = str(toy_folder / "source.parquet")
    config.corpus.classes, config.normalisations = (), ("train",)
    return config


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seeds", -1, "config.seeds must be above 0, it is -1"),
        ("seeds", HUGE, f"config.seeds: {HUGE} is no number that can be used; 1000 is the largest"),
        ("gan.seeds", 10**8, "config.gan.seeds: 100000000 is no number that can be used"),
        ("gan.batch_size", 0, "config.gan.batch_size must be above 0"),
        ("gan.batch_size", 10**12, "config.gan.batch_size: 1000000000000 is no number that can be used"),
        ("gan.epochs", HUGE, f"config.gan.epochs: {HUGE} is no number"),
        ("gan.generator", (10**9,), "config.gan.generator are widths of hidden layers, above 0 and at most"),
        ("gan.generator", (True,), "config.gan.generator are widths"),
        ("gan.critic", ("wide",), "config.gan.critic are widths"),
        ("gan.classifier", (1.5,), "config.gan.classifier are widths"),
        ("dnn.hidden", (-3,), "config.dnn.hidden are widths"),
        ("dnn.steps", 10**15, "config.dnn.steps: 1000000000000000 is no number"),
        ("dnn.learning_rate", INF, "config.dnn.learning_rate: inf is no number"),
        ("dnn.l2", NAN, "config.dnn.l2 must be 0 or more, it is nan"),
        ("dnn.dropout", 1.5, "config.dnn.dropout must lie between 0 and 1, it is 1.5"),
        ("svm.C", NAN, "config.svm.C must be above 0, it is nan"),
        ("svm.C", 1e300, "config.svm.C: 1e+300 is no number that can be used; 1e+09 is the largest"),
        ("gan.slope", NAN, "config.gan.slope must lie between 0 and 1"),
        ("gan.adam_b1", 1.0, "config.gan.adam_b1 must lie between 0 and 1"),
        ("gan.adam_b2", -0.1, "config.gan.adam_b2 must lie between 0 and 1"),
        ("gan.adam_eps", 0.0, "config.gan.adam_eps must be above 0"),
        ("gan.decay_factor", INF, "config.gan.decay_factor: inf is no number"),
        ("gan.decay_floor", NAN, "config.gan.decay_floor must be 0 or more"),
        ("gan.noise_rate", INF, "config.gan.noise_rate: inf is no number"),
        ("hypers.smoothing", 5.0, "config.hypers.smoothing must be at most 1"),
        ("hypers.lr_g", 1e300, "config.hypers.lr_g: 1e+300 is no number"),
        ("hypers.penalty_k", INF, "config.hypers.penalty_k must be 0 or more, it is inf"),
        ("amount", NAN, "config.amount must be 0 or more, it is nan"),
        ("amount", 1e9, "config.amount: 1000000000.0 is no number that can be used; 10000 is the largest"),
        ("curve", (1.0, INF), "config.curve[1]: inf is no number"),
        ("curve", ("many",), "config.curve holds numbers, not 'many'"),
        ("choice.amounts", ("x",), "config.choice.amounts holds numbers, not 'x'"),
        ("choice.amounts", (1.0, NAN), "config.choice.amounts[1] must be above 0, it is nan"),
        ("choice.hidden", (5,), "config.choice.hidden holds tuples, not 5"),
        ("choice.steps", (1.5,), "config.choice.steps holds whole numbers, not 1.5"),
        ("choice.C", (INF,), "config.choice.C[0]: inf is no number"),
        ("mixup", INF, "config.mixup: inf is no number"),
        ("noise", -1.0, "config.noise must be 0 or more"),
        ("training.log_every", 0, "config.training.log_every must be above 0"),
        ("training.log_every", 10**9, "config.training.log_every: 1000000000 is no number"),
        ("features.workers", -1, "config.features.workers must be 0 or more"),
        ("features.workers", 10**6, "config.features.workers: 1000000 is no number"),
        ("features.cache", "", "config.features.cache is empty; name a folder"),
        ("source", "", "config.source is empty; name speech, corpus, a folder or a table"),
        ("arms", (3,), "config.arms holds words, not 3"),
        ("normalisations", (("train",),), "config.normalisations holds words, not ('train',)"),
        ("corpus.classes", ("anger", "anger"), "config.corpus.classes: 2 to 16 different emotions"),
        ("corpus.classes", (1, 2), "config.corpus.classes holds words, not 1"),
        ("corpus.columns", "{'foo': 'x'}", "config.corpus.columns"),
        ("corpus.labels", "{'a':" * 3000, "config.corpus.labels: a mapping like"),
        ("sweep", ({},), "config.sweep: {} is no point; one is like {'lambda_cyc': 5.0}"),
        ("sweep", (1,), "config.sweep: 1 is no point; one is like"),
        ("sweep", ({"batch_size": 2.5},), "config.sweep: batch_size=2.5 must be like config.gan.batch_size"),
        ("sweep", grid(slope=(0.2, 2.0)), "config.gan.slope must lie between 0 and 1"),
        ("sweep", ({1: 2},), "config.sweep: 1 is no setting of the CycleGANs to sweep"),
        ("sweep", grid(epochs=(4, -2)), "config.gan.epochs must be above 0, it is -2"),
    ],
)
def test_a_bad_value_is_refused_by_its_key(config, key, value, message):
    config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError) as caught:
        study.prepare(config)
    assert message in str(caught.value)
    assert str(caught.value).count("\n") < 2


def test_groups_of_speakers_that_cannot_be_made_are_refused(config):
    config.protocol = "speaker_groups"
    for groups in (-1, 0, 1, 99):
        config.groups = groups
        with pytest.raises(UserError, match="groups"):
            study.prepare(config)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.kind=recordings"], "--config.kind: belongs to the config's file"),
        (["--config.gan=5"], "--config.gan=5: config.gan is a group of keys; change them one by one"),
        (["--config.features={'a': 'b'}"], "config.features is a group of keys; change them one by one, as"),
        ([f"--sweep={TOO_MANY}"], "--sweep: 100000 points, 10000 are the most; name fewer keys or values"),
        (["--sweep=lambda_cyc=" + "-" * 9000 + "1"], "config.sweep: lambda_cyc='---"),
        (["--sweep=lambda_cyc={[]:1}"], "config.sweep: lambda_cyc='{[]:1}'"),
        (
            ["--config.corpus.root=" + "9" * 500],
            "999: the name is too long for this disk; name a shorter one",
        ),
        (["--config.amount=\r "], "flag --config.amount= : could not convert string to float"),
        (["--config.amount=" + "-" * 9000 + "1"], "flag --config.amount=---"),
        (["--config.curve=" + "-" * 9000 + "1"], "a key or value is nested too deeply"),
        (["--sweep=" + ",".join(["lambda_cyc=1"] * 5000)], "--sweep: 64999 characters, 10000 are the most"),
        (["--config.gan.loss.deep.er=1"], "--config.gan.loss.deep.er: no such key, config.gan.loss is a"),
        (["--config.seeds.x=1"], "--config.seeds.x: no such key, config.seeds is a value"),
        (["--config.seeds=1.5"], "--config.seeds=1.5"),
        (["--config.seeds="], "--config.seeds="),
        (["--config.gan.residual=maybe"], "--config.gan.residual=maybe"),
        (["--config.amount=nan"], "config.amount must be 0 or more"),
        (["--config.gan.epochs=1e9"], "--config.gan.epochs=1e9"),
        (["--seeds=3"], "Unknown command line flag 'seeds'"),
        (["--sweep=lambda_cyc"], "--sweep: 'lambda_cyc' is not key=value,value"),
        (["--sweep=lambda_cyc="], "--sweep: 'lambda_cyc=' is not key=value,value"),
        (["--sweep=lambda_cyc=1;lambda_cyc=2"], "--sweep: 'lambda_cyc=2' is not"),
        (["--sweep=nope=1"], "config.sweep: nope is no setting"),
        (
            ["--sweep=lambda_cyc=1,1;residual=True"],
            "config.sweep has one point; set it with --config.hypers.lambda_cyc and --config.gan.residual",
        ),
        (["--sweep=loss=gan,wdiv"], "config.sweep: loss is no setting"),
        (["--sweep=lambda_cyc=nan"], "config.sweep: lambda_cyc='nan' must be like config.hypers.lambda_cyc"),
        (["--profile=-1"], "--profile=-1: -1 is not a non-negative integer"),
        (["--profile=many"], "--profile=many"),
        (["--hosts=x"], "--hosts=x: either auto or ADDRESS:PORT,COUNT,INDEX"),
        (["--mode=train"], "--mode=train: value should be one of <run|inspect|synthesize|report>"),
        (["--mode=inspect", "more"], "not a flag: more"),
        (
            ["--source=a"],
            "--source is for --mode=synthesize, not run; the study's own speech is",
        ),
        (["--mode=inspect", "--profile=5"], "--profile is for --mode=run, not inspect"),
        (["--mode=report", "--sweep=lambda_cyc=1"], "--sweep is for --mode=run or inspect, not report"),
        (
            ["--config.target.root=a"],
            "config.target.root=a: is for config.protocol=across, this one",
        ),
        (
            ["--config.corpus.root=tfds:crema_d", "--config.corpus.part=scripted"],
            "config.corpus.part: crema_d has no part scripted",
        ),
        (
            ["--config.target.labels={'a': 'b'}"],
            "config.target.labels={'a': 'b'}: is for config.protocol=across",
        ),
        (["--config.target.name=b"], "config.target.name=b: is for config.protocol=across, this one"),
        (["--sweep="], "--sweep= is empty; give a grid like"),
        (
            ["--mode=report"],
            "--config is for --mode=run or inspect, not report; the run folder has its config",
        ),
    ],
)
def test_a_bad_command_line_is_refused(arguments, message, tmp_path):
    said = refused(DEBUG, *arguments, f"--workdir={tmp_path / 'run'}")
    assert message in said and len(said) < 2100
    assert not (tmp_path / "run").exists()


def test_a_folder_may_be_in_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert f"{tmp_path}/none: no config.json there" in refused("--mode=report", "--workdir=~/none")


def test_inspect_names_a_path_that_no_disk_has():
    said = refused(DEBUG, "--mode=inspect", "--config.corpus.root=" + "9" * 500)
    assert said.endswith("999: the name is too long for this disk; name a shorter one")


def test_another_loss_of_a_study_that_names_its_arms_is_refused():
    said = refused("--config=configs/emodb_study.py:debug", "--config.gan.loss=gan")
    assert "--config.gan.loss: this study's arms are noise, mixup, moments, gan, wdiv; name others" in said


def test_a_set_that_is_not_recordings_is_refused_for_them():
    said = refused("--config=configs/emodb_hda.py", "--config.corpus.name=x", "--config.corpus.root=tfds:x")
    assert "config.corpus.root=tfds:x: is for studies on features; name a folder" in said


def test_a_sweep_of_a_study_without_cyclegans_is_refused():
    said = refused("--config=configs/emodb_hda.py:debug", "--sweep=lambda_cyc=1,2")
    assert "--sweep=lambda_cyc=1,2: a study on recordings has no CycleGANs to sweep" in said


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.py", "def get_config(:", "a.py: raises SyntaxError: invalid syntax"),
        ("a.py", "import no_such_module", "a.py: raises ModuleNotFoundError: No module named"),
        ("a.py", "def get_config(arg=''): raise RuntimeError('boom\\nx')", "a.py: raises RuntimeError: boom"),
        ("a.py", "x = 1", "a.py: has no get_config(preset)"),
        ("a.py", "def get_config(arg=''): return {}", "a.py: get_config gives a dict, not a ConfigDict"),
        ("a.txt", "hello", "a.txt: not a Python file"),
        (
            "a.py",
            "import ml_collections\nget_config = ml_collections.ConfigDict",
            "a.py: config.amount, config.arms, config.choice and 23 more are missing",
        ),
    ],
)
def test_a_file_that_makes_no_config_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    assert message in refused(f"--config={tmp_path / name}")


@pytest.mark.parametrize("lines", ["raise KeyError('boom')", "pass"])
def test_a_sweep_of_a_file_that_fails_is_named(tmp_path, lines):
    arguments = "add" if "raise" in lines else ""
    text = f"from configs.emodb_wdiv import get_config\ndef sweep({arguments}): {lines}\n"
    (tmp_path / "own.py").write_text(text)
    words = "raises KeyError: 'boom'" if arguments else "raises TypeError"
    assert f"own.py: sweep(add): {words}" in refused(f"--config={tmp_path / 'own.py'}:debug", "--sweep")


def test_a_place_that_cannot_be_a_run_folder_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "prepare", None)
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    assert f"{file}: is a file; name another folder with --workdir" in refused(DEBUG, f"--workdir={file}")
    inside = refused(DEBUG, f"--workdir={file / 'a' / 'run'}")
    assert f"{file / 'a' / 'run'}: is inside of {file}, which is a file" in inside
    assert "the name is too long for this disk" in refused(DEBUG, f"--workdir={tmp_path / ('x' * 300)}")
    assert file.read_text() == "mine" and list(tmp_path.iterdir()) == [file]
    assert "notes.txt: is a file" in refused("--mode=report", f"--workdir={file}")
    assert "the name is too long" in refused("--mode=report", f"--workdir={tmp_path / ('x' * 300)}")


FILES = {
    "emodb_wdiv": ["corpus.table=FOLDER/corpus.parquet", "source=FOLDER/source.parquet", "corpus.classes=()"],
    "emodb_hda": [],
}
KEYS = {
    name: [key for key, _ in flat(config_file.load(f"configs/{name}.py").get_config().to_dict())]
    for name in FILES
}
ODD = (
    " nan inf -1 0 1 2.5 1e999 () (1,) [1] {} None True 'a' a,b ((1,),) ('train',) {'a':'b'} ((( 1j \0 \ud800"
)
ODD = [*ODD.split(" "), "({'lambda_cyc':1.0},)", "9" * 5000, "-" * 9000 + "1", "[" * 150]


@st.composite
def command_line_words(draw, name):
    """A key of the config or of a group, a sweep, another flag, or none of these, with any value."""
    value = draw(
        st.sampled_from(ODD) | st.text(st.characters(exclude_characters="/.~"), max_size=5)
    )  # no place
    key = draw(st.sampled_from(KEYS[name]))
    group, last = key.partition(".")[0], key.rpartition(".")[2]
    return draw(
        st.sampled_from(
            [f"--config.{key}={value}"] * 3
            + [f"--config.{group}={value}", f"--config.{key}.{last}={value}", f"--config.{key}[0]={value}"]
            + [f"--sweep={last}={value}", f"--sweep={last}={value};lambda_cls=1", f"--sweep{value}"]
            + [f"--{flag}={value}" for flag in ("config", "mode", "hosts", "profile", "per_class", "x")]
            + [f"{start}{value}" for start in ("", "-", "--", "--config", "--config.")]
        )
    )


@pytest.mark.parametrize("name", FILES)
@fuzzed(15)
@given(data=st.data())
def test_any_command_line_is_carried_out_or_refused_in_words(toy_folder, name, data):
    settings = [f"--config.{setting.replace('FOLDER', str(toy_folder))}" for setting in FILES[name]]
    words = data.draw(st.lists(command_line_words(name), min_size=1, max_size=2))
    code, out, err = launch(f"--config=configs/{name}.py:debug", "--mode=inspect", *settings, *words)
    if code:
        said = err[err.index("launch.py: ") :]
        assert code == 2 and re.match(r"launch\.py: \S", said) and len(said) < 5000, err
    else:
        assert out
