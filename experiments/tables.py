"""Rebuilds the embedded feature tables from audio.

python -m experiments.tables --emodb=DIR --speech=DIR [--out=sergan/data]
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from sergan import features
from sergan.corpora import CORPORA, table_files
from sergan.corpora.recordings import Recording, folder
from sergan.errors import UserError
from sergan.writers import Progress

SET = "IS10"


def main() -> None:
    """Extracts the given corpora and writes <out>/emodb_IS10.npz and <out>/speech_IS10.npz."""
    parser = argparse.ArgumentParser(description="Rebuild the embedded feature tables from audio.")
    parser.add_argument("--emodb", help="EMO-DB as distributed")
    parser.add_argument("--speech", help="folder of unlabelled speech: one folder for each speaker")
    parser.add_argument("--out", default="sergan/data", help="folder to write to (default: %(default)s)")
    parser.add_argument("--cache", default="~/.cache/sergan/features", help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: one for each core")
    options = parser.parse_args()
    if not (options.emodb or options.speech):
        parser.error("give --emodb=DIR, --speech=DIR or both")
    try:
        if options.emodb:
            recordings = CORPORA["emodb"].read(options.emodb)
            for line in CORPORA["emodb"].differences(recordings):
                print(f"{options.emodb}: {line}", file=sys.stderr)
            build("emodb", recordings, options)
        if options.speech:
            build("speech", speech(options.speech), options)
    except UserError as error:
        sys.exit(str(error))


def speech(root: str) -> list[Recording]:
    """Recordings of a folder, with ids like "speech/000240010" and speakers like "speech/0024"."""
    return [
        replace(recording, id=f"speech/{recording.path.stem}", speaker=f"speech/{recording.path.parent.name}")
        for recording in folder(root)
    ]


def build(name: str, recordings: list[Recording], options: argparse.Namespace) -> None:
    """Writes the table of one corpus and prints what it holds."""
    with Progress(name, len(recordings)) as progress:
        table = features.extract(recordings, SET, options.cache, options.workers, progress)
    path = Path(options.out) / f"{name}_{SET}.npz"
    table_files.write(table, path)
    speakers = len(set(table.speakers_U.tolist()))
    print(
        f"{path}: {len(table.ids_U)} rows of {speakers} speakers, {len(table.names_D)} features "
        f"({table.extractor}), {path.stat().st_size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main()
