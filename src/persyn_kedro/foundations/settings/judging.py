"""Which ways of judging answers are used, by groups of settings: the one place that says so."""

from collections.abc import Iterable
from typing import Any

from persyn_kedro.foundations.settings.compare_quality import CompareQualitySettings
from persyn_kedro.foundations.settings.label import LabelSettings, QualitySettings


def ways_among(settings: Iterable[Any]) -> list[QualitySettings]:
    """Return how a step that is handed these groups of settings judges answers.

    That is as ``compare_quality.kinds`` say, if these are among them, and as ``label.quality`` says
    otherwise.
    """
    groups = list(settings)
    compared = [g.ways for g in groups if isinstance(g, CompareQualitySettings) and g.ways]
    labels = [g.ways for g in groups if isinstance(g, LabelSettings)]
    return [way for ways in compared or labels for way in ways]


def runs_code(settings: Iterable[Any]) -> bool:
    """Return whether answers' code is run, by these groups of settings."""
    return any(way.kind == "code" for way in ways_among(settings))


def asks_judge(settings: Iterable[Any]) -> bool:
    """Return whether these groups of settings have a language model judge answers."""
    return any(way.kind == "judge" for way in ways_among(settings))
