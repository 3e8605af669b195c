"""How a copy of a corpus differs from the published one, in lines to be read."""

from collections import Counter
from collections.abc import Iterable


def total(found: int, published: int) -> list[str]:
    """A line if there are more or fewer files than published; none if not."""
    return [] if found == published else [f"{found} files instead of {published}"]


def counts(what: str, found: Iterable[str], published: dict[str, int], unit: str = "files") -> list[str]:
    """A line with every name that is not found as often as published, or not published; none without such.

    `found` has the name of each file, `what` says what they name: "files per emotion: fear 3 instead of 69".
    """
    numbers = Counter(found)
    names = [*published, *sorted(set(numbers) - set(published))]
    other = [
        f"{name} {numbers[name]} instead of {published.get(name, 0)}"
        for name in names
        if numbers[name] != published.get(name, 0)
    ]
    return [f"{unit} per {what}: {', '.join(other)}"] if other else []


def names(what: str, found: Iterable[str], published: Iterable[str]) -> list[str]:
    """A line with the names that are missing and one with those that are not published; none without such.

    `what` says what the names are: "speakers missing: F02, M06".
    """
    here, known = set(found), set(published)
    kinds = (("missing", known - here), ("not published", here - known))
    return [f"{what} {kind}: {', '.join(sorted(others))}" for kind, others in kinds if others]
