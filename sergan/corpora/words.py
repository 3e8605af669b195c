"""Words that tables and corpora hold, in one spelling."""

import unicodedata


def naming(key: str, column: str) -> str:
    """How a message says that a column may have another name: by the config's key, where there is one."""
    if not key:
        return f"call yours {column!r}"
    return f"name yours with --config.{key}.columns=\"{{'{column}': 'NAME'}}\""


def word(text: str) -> str:
    """A name without spaces around it, and with each umlaut as one character, however a program wrote it."""
    return unicodedata.normalize("NFC", text.strip())
