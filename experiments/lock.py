"""One process at a time works in a run folder."""

import fcntl
import json
import os
import platform
from contextlib import suppress
from typing import TextIO

from etils import epath

from sergan.errors import UserError

NAME = ".lock"


def hold(folder: epath.Path) -> TextIO | None:
    """Keeps other processes out of a run folder until what is returned is released, or this one ends.

    None where the folder is not on a file system of this machine, or that has no locks.

    Raises:
      UserError: another process works there, or nothing can be written there.
    """
    path = os.path.join(os.fspath(folder), NAME)
    if "://" in path:
        return None
    try:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115, held as long as the run
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written to ({error.strerror}); name another --workdir"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"{folder}: {_holder(file)} works there; wait until it ends, or name another --workdir"
        ) from error
    except OSError:
        file.close()
        return None
    if not os.path.exists(path) or os.stat(path).st_ino != os.fstat(file.fileno()).st_ino:
        file.close()
        return hold(folder)  # another process released it in between
    file.truncate(0)
    file.write(json.dumps({"host": platform.node(), "process": os.getpid()}))
    file.flush()
    return file


def release(file: TextIO) -> None:
    """Lets other processes in, and leaves nothing behind."""
    with suppress(OSError), file:
        os.unlink(file.name)


def _holder(file: TextIO) -> str:
    """Who holds a lock, in words."""
    with file:
        file.seek(0)
        try:
            said = json.loads(file.read(1000))
            return f"process {said['process']} on {said['host']}"
        except (ValueError, KeyError, TypeError):
            return "another process"
