"""What a user can mend (a key, a file, a value), what an arm cannot do, and what others say in a line."""


class UserError(ValueError):
    """Wrong usage or input; the message names the file, key or value and says what to do.

    `launch.py` prints it as it stands, without a traceback, and exits with 2.
    """


class ArmError(UserError):
    """Rows of one fold that an arm cannot make; a hole in the results, and the rest goes on."""


def line(said: object) -> str:
    """What an exception of a library says, or any other text, in one line and at most 200 characters."""
    return " ".join(str(said)[:2000].split())[:200] or type(said).__name__
