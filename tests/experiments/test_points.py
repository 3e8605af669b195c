"""What --sweep asks for: a grid, or the config file's own points."""

import pytest

from configs.common import base, grid
from experiments import points
from sergan.errors import UserError

FILE = "configs/emodb_wdiv.py"


def test_a_grid_on_the_command_line_is_every_combination_of_its_values():
    found = points.asked(
        " lambda_cyc = 0.5,1 ; critic=(8,8),(16,);classifier_data=real,both;residual=True", FILE
    )
    assert found == list(
        grid(
            lambda_cyc=(0.5, 1),
            critic=((8, 8), (16,)),
            classifier_data=("real", "both"),
            residual=(True,),
        )
    )


def test_alone_it_means_the_config_files_own_sweep_whatever_the_preset():
    found = points.asked("config", f"{FILE}:debug")
    assert len(found) == 12 and {tuple(point) for point in found} == {("lambda_cyc", "lambda_cls")}


@pytest.mark.parametrize("text", ["lambda_cyc", "lambda_cyc=", "lambda_cyc=1;lambda_cyc=2", "=1,2;lr_g=1"])
def test_what_is_no_grid_is_refused(text):
    config = base()
    with pytest.raises(UserError, match=r"--sweep|config\.sweep"):
        config.sweep = points.asked(text, FILE)
        points.resolve(config)


def test_a_config_without_a_sweep_says_how_to_name_one():
    with pytest.raises(UserError, match=r"configs/emodb_study.py has no sweep\(add\); name a grid"):
        points.asked("config", "configs/emodb_study.py:debug")


def test_values_become_what_the_config_has():
    config = base()
    config.sweep = grid(lambda_cyc=(1, 2), critic=([8], (9, 9)))
    found = points.resolve(config)
    assert [type(point["lambda_cyc"]) for point in found] == [float] * 4
    assert [point["critic"] for point in found[:2]] == [(8,), (9, 9)]
    changed = points.at(config, found[1])
    assert (changed.hypers.lambda_cyc, tuple(changed.gan.critic)) == (1.0, (9, 9))
    assert config.hypers.lambda_cyc == 5.0
