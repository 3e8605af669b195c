"""What a run keeps beside its folder."""

import os
import subprocess
import sys

from tests.commands import ROOT

COMPILE = "import sys; from experiments.run import _keep_compiled; _keep_compiled(sys.argv[1]); "
COMPILE += "import jax; jax.jit(lambda x: x + 1)(1.0)"


def test_programs_are_kept_compiled_however_small(tmp_path):
    environment = {name: value for name, value in os.environ.items() if "CACHE" not in name}
    for folder, kept in ((tmp_path / "cache", True), ("", False)):
        subprocess.run([sys.executable, "-c", COMPILE, str(folder)], cwd=ROOT, env=environment, check=True)
        assert bool(list(tmp_path.glob("cache/*"))) == kept
        for path in tmp_path.glob("cache/*"):
            path.unlink()
