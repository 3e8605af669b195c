"""Disks that are full, read-only or not there: said in words, with what to do."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from etils import epath

from sergan.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BARRED = (errno.EACCES, errno.EPERM)
_PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
_MANY = (errno.EMFILE, errno.ENFILE)


@contextmanager
def faults(folder: epath.PathLike) -> Iterator[None]:
    """Failures of the disk inside the block become UserErrors that name the folder, or the file at fault.

    Raises:
      UserError: the disk is full, or something cannot be written, read or found on it.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        words = _words(error)
        if not words:
            raise
        raise UserError(f"{_place(error, folder)}: {words}") from error


def _words(error: Exception) -> str:
    """What to do about an error of the disk; empty for any other. Libraries may have wrapped it."""
    for cause in _chain(error):
        number = cause.errno if isinstance(cause, OSError) else None
        if number in _FULL or "No space left on device" in str(cause) or "Disk quota exceeded" in str(cause):
            return "no space is left on its disk; make room and run the same command again, which goes on"
        if number == errno.EROFS or "Read-only file system" in str(cause):
            return "cannot be written to; allow it, or name another folder"
        if number in _BARRED:
            return "is not to be read or written by this user; allow it, or name another"
        if number in _PASSING:
            return "cannot be read or written just now; run the same command again, which goes on"
        if number in _MANY:
            return "too many files are open; allow more (ulimit -n) and run the same command again"
        if isinstance(cause, NotADirectoryError | FileExistsError | IsADirectoryError):
            return f"{os.strerror(cause.errno or errno.ENOTDIR)}; name another folder"
        if number == errno.ENAMETOOLONG:
            return "the name is too long for this disk; name a shorter one"
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _place(error: BaseException, folder: epath.PathLike) -> str:
    """The file that the error names, if it is outside of the folder; else the folder."""
    inside = os.path.abspath(os.fspath(folder))
    for cause in _chain(error):
        name = cause.filename if isinstance(cause, OSError) else None
        if isinstance(name, str) and not Path(os.path.abspath(name)).is_relative_to(inside):
            return name
    return os.fspath(folder)


def check_place(folder: epath.PathLike) -> None:
    """Raises UserError for a run folder that can never be made; looks only."""
    with faults(folder):
        parent = _nearest(folder)
    if parent and not parent.is_dir():
        what = "a file" if parent == Path(folder).absolute() else f"inside of {parent}, which is a file"
        raise UserError(f"{folder}: is {what}; name another folder with --workdir")


def check_writable(folder: epath.PathLike) -> None:
    """Raises UserError for a run folder that nothing can be written to; makes nothing."""
    parent = _nearest(folder)
    if parent and not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: nothing can be written to {parent}; name another --workdir")


def _nearest(folder: epath.PathLike) -> Path | None:
    """The folder, or the nearest one around it that is there; None for a bucket.

    Raises OSError for a name that no file can have, or a folder that cannot be looked into.
    """
    if "://" in os.fspath(folder):
        return None
    path = Path(folder).absolute()
    with suppress(FileNotFoundError, NotADirectoryError):
        path.stat()
    return next(parent for parent in (path, *path.parents) if os.path.lexists(parent))
