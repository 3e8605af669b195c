"""Words that tables and corpora hold, in one spelling."""

import unicodedata


def word(text: str) -> str:
    """A name without spaces around it, and with each umlaut as one character, however a program wrote it."""
    return unicodedata.normalize("NFC", text.strip())
