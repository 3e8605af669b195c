"""How hard parsers are tried: a few examples each time, SERGAN_FUZZ times as many where that is set."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("SERGAN_FUZZ", "1"))


def fuzzed(examples):
    """Marks a property of a parser, to stand above @given, with TIMES as many examples as given."""

    def marked(test):
        shared = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
        tried = settings(max_examples=examples * TIMES, deadline=None, suppress_health_check=shared)
        return pytest.mark.fuzz(tried(test))

    return marked


@st.composite
def damaged(draw, content, put=(), head=100):
    """Bytes of a file after one to four damages: some changed, cut out, put in or doubled, or the end lost.

    Most are in the first `head` bytes; most of the pieces put there are of `put`, if there are any.
    """
    for _ in range(draw(st.integers(1, 4))):
        size = len(content)
        at = draw(st.integers(0, min(size, head if draw(st.integers(0, 3)) else size)))
        end = min(size, at + draw(st.integers(1, 8) | st.integers(0, size)))
        piece = draw(st.sampled_from(put) if put and draw(st.integers(0, 3)) else st.binary(max_size=8))
        kind = draw(st.sampled_from(["change", "change", "change", "cut", "put", "double", "end"]))
        content = {
            "change": content[:at] + piece + content[at + len(piece) :],
            "cut": content[:at] + content[end:],
            "put": content[:at] + piece + content[at:],
            "double": content[:end] + content[at:],
            "end": content[:at],
        }[kind]
    return content
