"""A run folder as a report reads it: files of old runs and of new ones, members that do not count."""

import json

import pandas as pd
import pytest
from etils import epath

from sergan import sweep
from sergan.errors import UserError
from sergan.run_folder import Missing, Run


def line(member, **other):
    old = {"member": member, "normalisation": "train", "fold": 0, "held_out": "c/1", "seed": 0}
    return old | {"point": 0, "status": "done"} | other


@pytest.fixture
def run(tmp_path):
    """A function that writes members, their losses and empty files of synthetic rows."""

    def write(members, names=()):
        records = [{"step": 1, "member": m["member"], "cycle": 1.0} for m in members]
        for name, lines in (("members", members), ("metrics", [*records, {"step": 1, "member": 99}])):
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
        for name in names:
            (tmp_path / "synthetic" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "synthetic" / name).write_text("")
        return Run(epath.Path(tmp_path))

    return write


def test_synthetic_files_of_old_and_new_runs(run):
    members = [line(0, normalisation="speaker"), line(1)]
    names = ["train/fold_01_seed_0_point_0.parquet", "train/wdiv_fold_00_seed_2_point_0.parquet"]
    names += ["speaker/gan_fold_10_seed_0_point_0.parquet", "train/notes.parquet"]
    files = run(members, names).synthetic()
    assert [file[:4] for file in files] == [
        ("speaker", "gan", 10, 0),
        ("train", "", 1, 0),
        ("train", "wdiv", 0, 2),
    ]


def test_synthetic_files_of_members_that_diverged_are_left_out(run):
    members = [
        line(0, arm="gan", status="diverged@9"),
        line(1, arm="wdiv"),
        line(2, fold=1, status="diverged@9"),
        line(3, arm="wdiv", fold=2, inner=True, status="diverged@9"),
    ]
    names = [f"train/{arm}_fold_00_seed_0_point_0.parquet" for arm in ("gan", "wdiv")]
    names += ["train/fold_01_seed_0_point_0.parquet", "train/wdiv_fold_02_seed_0_point_0.parquet"]
    assert [file[1:3] for file in run(members, names).synthetic()] == [("wdiv", 0), ("wdiv", 2)]


def test_losses_are_those_of_sound_outer_members(run):
    members = [line(0), line(1, arm="gan", point=2), line(2, status="diverged@1"), line(3, inner=True)]
    losses = run(members).losses
    assert losses["point"].tolist() == [0, 2, 0]
    assert losses[["member", "normalisation", "arm"]].to_numpy().tolist() == [
        [0, "train", ""],
        [1, "train", "gan"],
        [99, "unfinished", ""],
    ]


def test_what_a_member_never_saw_are_one_or_two_speakers(run):
    folder = run([line(0), line(1, held_out="c/1 c/2", inner=True)])
    assert folder.held_out(0) == {"c/1"}
    assert {"c/1", "c/2"} <= folder.held_out(1)


def test_quality_without_arms_is_of_one_arm(tmp_path):
    frame = pd.DataFrame({"normalisation": ["train"], "emotion": ["NA"], "fold": [0]})
    frame.to_csv(tmp_path / "quality.csv", index=False)
    quality = Run(epath.Path(tmp_path)).quality
    assert quality[["arm", "emotion"]].to_numpy().tolist() == [["", "NA"]]


PREDICTIONS = "corpus,id,speaker,arm,classifier,normalisation,truth,prediction,point,fold,seed,amount,p_y\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "[]", "damaged, it is not an object; restore it, or name another folder"),
        ("config.json", '{"config": {"kind": "x"}}', "config.kind is not 'features' or 'recordings'"),
        ("config.json", '{"config": {"corpus": {"classes": "x"}}}', "config.corpus.classes is not a list"),
        ("config.json", '{"config": {}, "stages": {"train": "long"}}', "stages.train is not a number"),
        ("config.json", '{"config": {"protocol": "x"}}', "config.protocol is not 'speaker' or"),
        (
            "config.json",
            '{"config": {"kind": "recordings", "protocol": "across"}}',
            "config.protocol is not 'clip'",
        ),
        ("config.json", '{"config": {}, "stages": {"train": NaN}}', "stages.train is not a number"),
        ("config.json", '{"config": {}, "command": "\\ud800"}', "damaged, no JSON"),
        (
            "members.jsonl",
            '{"member": 0}',
            "line 1: damaged, normalisation is missing; delete this line and run",
        ),
        ("metrics.jsonl", '{"step": NaN, "member": 0}', "line 1: damaged, step is not a whole number"),
        ("points.csv", "point,lr_g\n0.5,1", "the column 'point' holds other things than whole numbers"),
        ("points.csv", "point,lr_g\n1,1", "points are not 0, 1, 2"),
        ("predictions.csv", PREDICTIONS + "c,1,s,a,b,c,x,y,0,0,0,1", "'x' is none of the classes"),
        ("holes.jsonl", '{"normalisation": "a", "arm": "b"}', "line 1: damaged, reason is missing"),
        ("quality.csv", "normalisation,emotion,fold,coverage\na,b,0,x", "'coverage' holds other things"),
        ("contrasts.csv", "a,b\nx,y", "it has no column 'delta'"),
        ("inner.csv", "arm,classifier,normalisation,point,inner_uar\na,,c,0,1", "a row has no 'classifier'"),
    ],
)
def test_a_file_with_other_values_is_named_with_what_to_do(tmp_path, name, text, message):
    (tmp_path / name).write_text(text + "\n")
    part = {"config": "record", "metrics": "losses"}.get(name.partition(".")[0], name.partition(".")[0])
    with pytest.raises(UserError, match=message) as caught:
        getattr(Run(epath.Path(tmp_path)), part)
    assert str(caught.value).startswith(f"{tmp_path / name}")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("0,1\n", r"results\.csv: damaged, '1' is none of the points of .*points\.csv"),
        ("0,1\n1,2\n", r"results\.csv: damaged, no row is of the sweep's first point"),
    ],
)
def test_results_that_do_not_go_with_the_points_are_refused(tmp_path, points, message):
    (tmp_path / "points.csv").write_text(f"point,lr_g\n{points}")
    names = "arm,classifier,normalisation,point,classes,seeds,amount,uar,uar_low,uar_high,wa,delta_uar"
    row = "real,svm,train,1,2,1,0,0.5,0.4,0.6,0.5,,,,"
    (tmp_path / "results.csv").write_text(f"{names},delta_low,delta_high,p_value\n{row}\n")
    with pytest.raises(UserError, match=message):
        _ = Run(epath.Path(tmp_path)).results


def test_predictions_of_a_sweep_without_its_first_point_are_refused(tmp_path):
    (tmp_path / "points.csv").write_text("point,lr_g\n0,1\n1,2\n")
    (tmp_path / "predictions.csv").write_text(PREDICTIONS + "c,1,s,a,b,c,y,y,1,0,0,1,1\n")
    with pytest.raises(UserError, match=r"predictions\.csv: damaged, no row is of the sweep's first point"):
        _ = Run(epath.Path(tmp_path)).predictions


def test_an_empty_word_of_a_point_and_truth_values_come_back(tmp_path):
    points = pd.DataFrame({"point": [0, 1], "view": ["", "spectrogram"], "residual": [True, False]})
    points.to_csv(tmp_path / "points.csv", index=False)
    found = Run(epath.Path(tmp_path)).points
    assert found["view"].tolist() == ["", "spectrogram"] and sweep.varied(found) == ["view", "residual"]
    assert sweep.words(found) == {0: "view none, residual True", 1: "view spectrogram, residual False"}


def test_a_run_without_a_sweep_has_no_points(tmp_path):
    assert Run(epath.Path(tmp_path)).points is None
    pd.DataFrame({"point": [0, 1], "lr_g": [1e-3, 1e-4]}).to_csv(tmp_path / "points.csv", index=False)
    points = Run(epath.Path(tmp_path)).points
    assert points["lr_g"].tolist() == [1e-3, 1e-4]


def test_what_is_needed_and_not_there_is_named(tmp_path):
    run = Run(epath.Path(tmp_path))
    assert (run.record, run.members, run.holes, run.choices, run.contrasts) == ({}, [], [], None, None)
    assert run.corpus == {} and run.losses.empty and run.synthetic() == []
    with pytest.raises(Missing, match=r"results\.csv is not there yet"):
        run.need("results")
