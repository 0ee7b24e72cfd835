"""Why a prompt is dropped whatever the other prompts are."""

from typing import Any

from persyn_kedro.domain.cleaning.against import read_test_prompts
from persyn_kedro.domain.cleaning.language import Detector, detector
from persyn_kedro.domain.cleaning.overlap import OverlapIndex
from persyn_kedro.foundations.settings import PrepareSettings
from persyn_kedro.foundations.settings.cleaning import LengthSettings

DUPLICATE = "duplicate"
LENGTH, LANGUAGE, CONTAMINATED, NEAR = "length", "language", "contaminated", "near_duplicate"
REASONS = (DUPLICATE, LENGTH, LANGUAGE, CONTAMINATED, NEAR)


class Reasons:
    """The limits of length, the languages and the test sets of the settings."""

    def __init__(self, settings: PrepareSettings) -> None:
        self._length, self._language = settings.length, settings.language
        self._detect: Detector | None = detector() if settings.language.keep else None
        self._tests = OverlapIndex(read_test_prompts(settings.against), settings.overlap)

    def of(self, text: str) -> dict[str, Any] | None:
        """Return the first reason to drop a text, as columns of DROPPED_PROMPTS; None to keep."""
        if said := wrong_length(text, self._length):
            return {"reason": LENGTH, "match": said}
        if self._detect is not None:
            language, certain = self._detect(text)
            if language not in self._language.keep and certain >= self._language.certainty:
                return {"reason": LANGUAGE, "match": language, "similarity": certain}
        overlap = self._tests.overlap(text)
        if overlap is None:
            return None
        told = {"match": overlap.match, "match_excerpt": overlap.match_excerpt}
        return {"reason": CONTAMINATED, **told, "similarity": overlap.share}


def wrong_length(text: str, length: LengthSettings) -> str | None:
    """Return what is wrong with a text's length, None if nothing is."""
    for name, limit in length.limits.items():
        end, _, unit = name.partition("_")
        size = len(text) if unit == "characters" else len(text.split())
        if size < limit if end == "min" else size > limit:
            return f"{size} {unit}, {name} is {limit}"
    return None
