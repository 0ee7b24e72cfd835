"""Which ways of judging are compared."""

from collections.abc import Mapping, Sequence
from typing import Any

from persyn_kedro.domain.quality.checking import check_can_be_judged
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.compare_quality import CompareQualitySettings
from persyn_kedro.foundations.settings.label import LabelSettings, QualitySettings, QualityTerm

EXACT = QualitySettings()


def check_kinds(compare_quality: CompareQualitySettings, label: LabelSettings) -> None:
    """Refuse settings that name only one way of judging.

    Raises:
        PersynError: says what to set.
    """
    if not compare_quality.kinds and {way.kind for way in label.ways} == {EXACT.kind}:
        raise PersynError(
            "label.quality is exact_answer, so there is nothing to compare it with: name the ways "
            "of judging in compare_quality.kinds, such as {exact: {kind: exact_answer}, model: "
            "{kind: reward_model, model: …}}."
        )


def kinds_of(
    settings: CompareQualitySettings, label: LabelSettings, prompts: Sequence[Mapping[str, Any]]
) -> dict[str, QualitySettings]:
    """Return the ways of judging by name.

    Args:
        prompts: the calibration prompts, with the column ``reference``.

    Raises:
        PersynError: one of them cannot judge any of these prompts, or there is only one.
    """
    if not settings.kinds and all(prompt["reference"] is None for prompt in prompts):
        raise PersynError(
            "No calibration prompt has a reference, so there is nothing to compare label.quality "
            "with: name two ways of judging in compare_quality.kinds."
        )
    found = dict(settings.kinds) or {
        EXACT.kind: EXACT,
        **{_name(way): way for way in label.ways},
    }
    for quality in found.values():
        weighed = label.model_copy(update={"quality": quality, "alpha": 0.0})
        check_can_be_judged(list(map(dict, prompts)), weighed)
    return found


def _name(way: QualitySettings) -> str:
    return way.called if isinstance(way, QualityTerm) else way.kind
