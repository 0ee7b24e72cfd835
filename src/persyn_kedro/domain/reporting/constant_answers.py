"""Kinds of test prompts on which a student that always says the same scores well."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from persyn_kedro.domain.reporting.formatting import percent

VERSION = 2  # raise it when the same inputs give another result

FEWEST, SHARE = 10, 0.3  # test prompts of a kind, and the commonest reference's share of them


def constant_notes(
    test_prompts: Iterable[Mapping[str, Any]], called: str = "test prompts"
) -> list[str]:
    """Say for which kinds of prompts one answer is right on a large share.

    A small student may learn that answer and nothing else, and gain by it.

    Args:
        test_prompts: rows with ``source`` and ``reference``, which may be null.
        called: what a note calls them.
    """
    references: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in test_prompts:
        if row["reference"] is not None:
            references[row["source"]][row["reference"]] += 1
    notes = []
    for source, counts in sorted(references.items()):
        total, most = counts.total(), max(counts.values())
        common = [(n, answer) for answer, n in counts.items() if n / total >= SHARE]
        if total >= FEWEST and common:
            each = " and ".join(f"{n} have {a!r}" for n, a in sorted(common, reverse=True))
            notes.append(
                f"Of {total} {called} of {source} with a reference, {each}: a student that "
                f"always answers the same is right on up to {percent(most / total)} of them. "
                "Look at its answers before you take a gain there for more."
            )
    return notes
