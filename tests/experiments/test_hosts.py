"""Several processes on one run folder do what one does."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from experiments import hosts
from sergan.errors import UserError
from tests.test_kills import ROOT, assert_same, command


@pytest.mark.parametrize("how", ["yes", "host,2,0", "host:1,2", "host:1,2,2", "host:1,2,-1"])
def test_other_words_for_hosts_are_refused(how):
    with pytest.raises(UserError, match=r"--hosts=.*auto or ADDRESS:PORT,COUNT,INDEX"):
        hosts.join(how)


def test_one_process_is_the_first_and_has_all_parts():
    hosts.join("")
    assert (hosts.count(), hosts.first(), hosts.mine([1, 2, 3])) == (1, True, [1, 2, 3])
    assert hosts.leave(3) == 3


def start(flags, devices, **more):
    """The command, its process seeing so many devices and further words of the environment."""
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"} | more
    return subprocess.Popen(
        flags, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def start_two(flags):
    """Two processes on the loopback address, with two devices each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [start([*flags, f"--hosts=127.0.0.1:{port},2,{index}"], 2) for index in range(2)]


def start_two_by_slurm(flags):
    """The same, told of each other as SLURM tells its tasks; JAX makes the port of the job's number."""
    ports = range(61440, 65536)
    with socket.socket() as free:
        port = next(port for port in ports if free.connect_ex(("127.0.0.1", port)) != 0)
    job = {"SLURM_JOB_ID": str(port - ports[0]), "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_NTASKS": "2"}
    tasks = [{"SLURM_PROCID": str(index), "SLURM_LOCALID": str(index)} for index in range(2)]
    return [start([*flags, "--hosts=auto"], 2, **job, **task) for task in tasks]


def ended(processes):
    """Exit codes and what each process said."""
    said = [process.communicate(timeout=240) for process in processes]
    return [process.returncode for process in processes], said


def test_two_processes_interrupted_and_started_again_give_what_one_gives(toy_folder):
    one, two = toy_folder / "one", toy_folder / "two"
    settings = ["--config.training.members_per_group=4", "--config.training.save_every=40"]
    settings += ["--config.gan.pretrain_epochs=0", "--config.gan.epochs=80"]
    assert ended([start([*command(toy_folder, one), *settings], 4)])[0] == [0]
    processes = start_two([*command(toy_folder, two), *settings])
    while not (two / "metrics.jsonl").exists() and processes[1].poll() is None:
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    codes, said = ended(processes)
    assert codes == [3, 3], said
    assert all("interrupted; what is done is saved" in stderr for _, stderr in said)
    assert not (two / "predictions.csv").exists()
    processes = start_two_by_slurm([*command(toy_folder, two), *settings])
    codes, said = ended(processes)
    assert codes == [0, 0], said
    assert "report.html" in said[0][0]
    assert "report.html" not in said[1][0]
    assert_same(two, one)


def test_what_is_wrong_is_said_and_no_process_waits(toy_folder):
    flags = [
        sys.executable,
        "launch.py",
        "--config=configs/emodb_wdiv.py:debug",
        "--config.corpus.table=absent",
    ]
    codes, said = ended(start_two([*flags, f"--workdir={toy_folder / 'run'}"]))
    assert codes[0] == 2
    assert "absent" in said[0][1]
    assert codes[1] != 0
