"""Feature tables that come with the project, so that everything runs with nothing downloaded.

emodb: EMO-DB, all 535 clips; speech: 1019 unlabelled read English clips of 128 adults, from speechocean762.
"""

from pathlib import Path

from sergan.corpora import table_files
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError

_FOLDER = Path(__file__).parent


def load(name: str, set_name: str) -> FeatureTable:
    """The embedded table of a corpus ("emodb", "speech") and an openSMILE set ("IS10").

    Raises:
      UserError: there is none.
    """
    path = _FOLDER / f"{name}_{set_name}.npz"
    if not path.exists():
        there = sorted(path.stem.replace("_", " with ", 1) for path in _FOLDER.glob("*.npz"))
        raise UserError(
            f"no features of {name!r} with {set_name!r} come with sergan (only {', '.join(there)})"
        )
    return table_files.read(path)
