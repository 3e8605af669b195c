"""sergan: GAN data augmentation for speech emotion recognition.

python launch.py --config=configs/emodb_wdiv.py[:preset] [--config.key=value ...] [--workdir=RUN]
python launch.py --config=... --sweep[="lambda_cyc=0.5,1,2;lambda_cls=0,2"] [--profile=STEPS] [--hosts=auto]
python launch.py --config=... --mode=inspect
python launch.py --mode=synthesize --workdir=RUN --out=FILE.parquet --per_class=200 [--source=PATH]
python launch.py --mode=report --workdir=RUN[,RUN2,... --out=FOLDER]
"""

import shlex
import signal
import sys
import traceback

from absl import flags
from ml_collections import config_flags

from experiments import command_line, config_file, hosts, run
from sergan.errors import UserError

CONFIG = config_flags.DEFINE_config_file("config", None, "The study, as FILE[:PRESET].")
MODE = flags.DEFINE_enum("mode", "run", ["run", "inspect", "synthesize", "report"], "What to do.")
WORKDIR = flags.DEFINE_string("workdir", "", "The run folder; by default runs/<config and overrides>.")
OUT = flags.DEFINE_string("out", "", "What synthesize or report writes: a folder, or .parquet, .csv, .npz.")
PER_CLASS = flags.DEFINE_integer("per_class", 200, "Rows or clips that synthesize writes for each class.")
SOURCE = flags.DEFINE_string("source", "", "Other speech for synthesize, as config.source has it.")
SWEEP = flags.DEFINE_string("sweep", "", "A grid of CycleGAN settings; alone, the config's sweep(add).")
PROFILE = flags.DEFINE_integer("profile", 0, "Steps of training to trace for TensorBoard or Perfetto.", 0)
HOSTS = flags.DEFINE_string("hosts", "", "Several processes: auto, or ADDRESS:PORT,COUNT,INDEX of this one.")
DEBUG_ERRORS = flags.DEFINE_bool("debug_errors", False, "Show tracebacks.")


def dispatch(command: str) -> str:
    """Carries out what the flags say; returns what to print."""
    if MODE.value in ("run", "inspect"):
        overrides = command_line.overrides(flags.FLAGS["config"], SWEEP.value)
        if MODE.value == "inspect":
            return run.inspect(CONFIG.value)
        workdir = WORKDIR.value or command_line.default_workdir(flags.FLAGS["config"], overrides)
        hosts.join(HOSTS.value)
        return run.run(CONFIG.value, overrides, command, command_line.place(workdir), PROFILE.value)
    if not WORKDIR.value:
        raise UserError(f"--mode={MODE.value} needs the run folder, --workdir=RUN")
    if MODE.value == "report":
        return run.report(WORKDIR.value, OUT.value)
    if not OUT.value:
        raise UserError("--mode=synthesize needs --out=FILE.parquet (or .csv, .npz, a new folder)")
    workdir, out = command_line.place(WORKDIR.value), command_line.place(OUT.value)
    return run.synthesize(workdir, out, PER_CLASS.value, SOURCE.value)


def main(argv: list[str]) -> int:
    """0 done, 1 a run failed, 2 wrong usage or input, 3 interrupted and saved."""
    parsed = False
    if "--help" in argv or "-h" in argv:
        print(__doc__ + flags.FLAGS.main_module_help())
        return 0
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        config_file.check(argv)
        rest = flags.FLAGS(["--sweep=config" if word == "--sweep" else word for word in argv])
        parsed = True
        command_line.check_flags(flags.FLAGS, rest[1:])
        print(dispatch("python " + shlex.join(argv)))
        return 0
    except KeyboardInterrupt:
        print("launch.py: interrupted; what is done is saved, the same command goes on", file=sys.stderr)
        return 3
    except Exception as error:
        if "--debug_errors" in argv or (parsed and DEBUG_ERRORS.value):
            traceback.print_exc()
        wrong_input = isinstance(error, UserError) or not parsed
        print(f"launch.py: {command_line.in_words(error, wrong_input)}", file=sys.stderr)
        return 2 if wrong_input else 1


if __name__ == "__main__":
    sys.exit(hosts.leave(main(sys.argv)))
