"""What says whether an answer is right or wrong: its prompt's reference, or tests of its code."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from persyn_kedro.domain.quality.code_tests import code_checker
from persyn_kedro.domain.quality.exact_answer import ExactAnswer
from persyn_kedro.domain.quality.first_that_can import FirstThatCan
from persyn_kedro.domain.quality.scorer import Scorer
from persyn_kedro.foundations.settings.label import VERDICTS, QualitySettings, QualityTerm, ways_of

EXACT = ExactAnswer()


def verifier_of(settings: QualitySettings | Sequence[QualityTerm]) -> Scorer:
    """Return what says whether an answer is right: references, and tests if ``settings`` has code.

    Of a prompt with both it is the one that comes first in ``settings``, references last.
    """
    ways = [way for way in ways_of(settings) if way.kind in VERDICTS]
    if all(way.kind == "exact_answer" for way in ways):
        return EXACT
    found = [code_checker(way) if way.kind == "code" else EXACT for way in ways]
    return FirstThatCan(tuple(dict.fromkeys([*found, EXACT])))


def can_judge(
    prompts: Iterable[Mapping[str, Any]], settings: QualitySettings | Sequence[QualityTerm]
) -> bool:
    """Return whether some prompt has a reference, or tests, if that is what answers need."""
    others = [way for way in ways_of(settings) if way.kind not in VERDICTS]
    return bool(others) or any(map(verifier_of(settings).judges, prompts))
