"""A run folder has one process at a time."""

import os
import subprocess
import sys
import time

import pytest
from etils import epath

from experiments import lock
from sergan.errors import UserError

HOLD = "import sys, time; from etils import epath; from experiments import lock; "
HOLD += "file = lock.hold(epath.Path(sys.argv[1])); print('held', flush=True); time.sleep(600)"


@pytest.fixture
def other(tmp_path):
    """A process that works in tmp_path."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_process_is_refused_with_the_firsts_host_and_number(other, tmp_path):
    with pytest.raises(UserError, match=rf"process {other.pid} on {os.uname().nodename} works there"):
        lock.hold(epath.Path(tmp_path))


def test_a_killed_process_holds_nothing(other, tmp_path):
    other.kill()
    other.wait()
    deadline = time.monotonic() + 10
    while True:
        try:
            lock.hold(epath.Path(tmp_path)).close()
            break
        except UserError:
            assert time.monotonic() < deadline


def test_a_folder_that_nothing_can_be_written_to_is_named(tmp_path):
    with pytest.raises(UserError, match="missing: cannot be written to"):
        lock.hold(epath.Path(tmp_path / "missing"))


def test_a_released_folder_has_nothing_left_of_it(tmp_path):
    for _ in range(2):
        lock.release(lock.hold(epath.Path(tmp_path)))
    assert not list(tmp_path.iterdir())


def test_a_bucket_is_not_locked():
    assert lock.hold(epath.Path("gs://bucket/run")) is None
