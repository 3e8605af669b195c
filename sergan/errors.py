"""The one exception for what a user can mend: a key, a file, a value."""


class UserError(ValueError):
    """Wrong usage or input; the message names the file, key or value and says what to do.

    `launch.py` prints it as it stands, without a traceback, and exits with 2.
    """
