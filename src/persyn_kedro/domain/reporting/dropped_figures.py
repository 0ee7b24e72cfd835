"""Which prompts cleaning dropped, in words: for the report, the plan and the dataset card."""

from collections.abc import Mapping

_WORDS = {
    "duplicate": "exact duplicates",
    "length": "too short or too long",
    "language": "in another language",
    "contaminated": "with too much in common with a test set",
    "near_duplicate": "near-duplicates of a prompt that is kept",
}


def dropped_sentences(dropped: Mapping[str, int] | None) -> list[str]:
    """Return how many prompts were dropped and why; nothing if they were not cleaned.

    Args:
        dropped: ``cleaning.dropped_counts``.
    """
    if dropped is None:
        return []
    counts = [f"{dropped[name]} {words}" for name, words in _WORDS.items() if name in dropped]
    return [f"Prompts dropped before they were split: {', '.join(counts) or 'none'}."]
