"""Checksums of a folder's files, kept in it, so that what a disk lost or changed is noticed."""

import hashlib
import json

from etils import epath

NAME = "sha256.json"
_BLOCK = 1 << 20  # bytes that are read at once


def write(folder: epath.Path) -> None:
    """Keeps the sha256 of every file of a finished folder; a reader sees all of them or none."""
    found = {name: _digest(folder / name) for name in _files(folder)}
    temporary = folder / f"{NAME}.partial"
    temporary.write_text(json.dumps(found, indent=2) + "\n")
    temporary.replace(folder / NAME)


def fault(folder: epath.Path, needed: bool = True) -> str:
    """What differs from the kept checksums, in words; empty for a sound folder.

    Without checksums a folder is faulty where they are `needed`, and cannot be judged elsewhere.

    Raises:
      OSError: a file is there but cannot be read just now, which tells nothing of it.
    """
    try:
        kept = json.loads((folder / NAME).read_text())
        kept = {str(name): str(digest) for name, digest in kept.items()}
    except FileNotFoundError:
        return f"{NAME} is missing" if needed else ""
    except (IsADirectoryError, NotADirectoryError, ValueError, AttributeError):
        return f"{NAME} is damaged"
    for name, digest in kept.items():
        try:
            if _digest(folder / name) != digest:
                return f"{name} has changed"
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return f"{name} is missing"
    return ""


def _files(folder: epath.Path, prefix: str = "") -> list[str]:
    """Names of all files below, but for the checksums themselves."""
    names = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.is_dir():
            names += _files(path, f"{prefix}{path.name}/")
        elif prefix or not path.name.startswith(NAME):
            names.append(prefix + path.name)
    return names


def _digest(path: epath.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
