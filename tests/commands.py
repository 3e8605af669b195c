"""The command line as a user types it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DEBUG = "--config=configs/emodb_wdiv.py:debug"


def launch(*arguments):
    """(exit code, stdout, stderr) of `python launch.py …`."""
    command = [sys.executable, "launch.py", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def refused(*arguments):
    """The message of a command that is refused: one or two lines, exit code 2."""
    code, out, err = launch(*arguments)
    lines = [line for line in err.splitlines() if line.startswith("launch.py: ") or line.startswith("  ")]
    assert code == 2 and out == "", (code, out, err)
    assert 1 <= len(lines) <= 2 and "Traceback" not in err, err
    return " ".join(lines)
