"""The command line as a user types it."""

import contextlib
import io
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from absl.testing import flagsaver

import launch as program

ROOT = Path(__file__).parent.parent
DEBUG = "--config=configs/emodb_wdiv.py:debug"


def launch(*arguments):
    """(exit code, stdout, stderr) of launch.py in this process, which has imported and compiled before."""
    out, err, old = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    argv = ["launch.py", *map(str, arguments)]
    patched = pytest.MonkeyPatch.context()
    told = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with flagsaver.flagsaver(), patched as patch, told[0], told[1]:
        patch.setattr(sys, "argv", argv)  # where the flags of a config look
        patch.chdir(ROOT)
        code = program.main(argv)
    signal.signal(signal.SIGTERM, old)
    assert "Traceback" not in err.getvalue()
    return code, out.getvalue(), err.getvalue()


def process(*arguments):
    """(exit code, stdout, stderr) of `python launch.py …` as a process of its own."""
    command = [sys.executable, "launch.py", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def refused(*arguments):
    """The message of a command that is refused: one or two lines, exit code 2."""
    code, out, err = launch(*arguments)
    lines = [line for line in err.splitlines() if line.startswith("launch.py: ") or line.startswith("  ")]
    assert code == 2 and out == "", (code, out, err)
    assert 1 <= len(lines) <= 2, err
    return " ".join(lines)
