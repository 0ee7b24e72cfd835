"""Rewards by other signals, normalisations and alphas: what they change, what they predict."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.comparison.strategies.labelled import Labelled
from persyn_kedro.domain.signal_comparison.candidates import Candidate, candidates, computable
from persyn_kedro.domain.signal_comparison.choices import compare_choices
from persyn_kedro.domain.signal_comparison.prediction import predictions, trained_students
from persyn_kedro.foundations.settings.label import LOCAL_LIKELIHOOD
from persyn_kedro.foundations.settings.signals import CompareSignalsSettings

VERSION = 2  # raise it when the same inputs give another result

Runs = Mapping[str, tuple[pa.Table, pa.Table]]  # trials and examples, by the step that made them


def compare_signals(
    labelled: Labelled, runs: Runs, settings: CompareSignalsSettings
) -> dict[str, Any]:
    """Return a row for each candidate reward, the settings' own first, and sentences.

    Returns:
        dict: ``{"teachers", "students": {step: number}, "rows", "verdicts", "notes", …}``. A row
            has the candidate's ``signal``, ``normalise`` and ``alpha``, ``compare_choices``, and
            ``predicts``: by step, how well the reward predicts the students' scores.
    """
    usable = computable(labelled.statistics, settings.signals)
    wanted = candidates(labelled.label, usable, settings.normalisations, settings.alphas)
    prompt_ids, own = labelled.rewards_with()
    teachers = list(labelled.teachers)
    students = {
        step: trained_students(trials, examples, prompt_ids, teachers)
        for step, (trials, examples) in runs.items()
    }
    rewards = [labelled.rewards_with(**each.changes)[1] for each in wanted]
    predicted = {
        step: predictions(rewards, found, settings.confidence) for step, found in students.items()
    }
    rows = [
        {
            **_named(each),
            **compare_choices(own, rewards[i]),
            "predicts": {step: found[i] for step, found in predicted.items()},
        }
        for i, each in enumerate(wanted)
    ]
    counts = {step: len(found.scores) for step, found in students.items()}
    return {
        "teachers": teachers,
        "confidence": settings.confidence,
        "students": counts,
        "rows": rows,
        "verdicts": [_verdict(step, rows, n, settings.confidence) for step, n in counts.items()],
        "notes": _notes(settings.signals, usable),
    }


def _named(each: Candidate) -> dict[str, Any]:
    return {"signal": each.signal, "normalise": each.normalise, "alpha": each.alpha}


def spoken(row: Mapping[str, Any]) -> str:
    """Return a candidate's name in a sentence."""
    return f"{row['signal']} ({row['normalise']}, alpha {row['alpha']:g})"


def _verdict(step: str, rows: Sequence[Mapping[str, Any]], n: int, confidence: float) -> str:
    """Say which reward predicts a step's students best, and whether that is shown."""
    told = [(row, row["predicts"][step]) for row in rows if row["predicts"][step]]
    if not told:
        return f"The students of {step} ({n}) are too few or too equal to tell rewards apart."
    row, best = max(told, key=lambda pair: pair[1]["value"])  # the first of equals
    own = rows[0]["predicts"][step]
    ours = f"the settings' own: {own['value']:.2f}" if own else "the settings' own: unknown"
    said = f"Of the {n} students of {step}, {spoken(row)} predicts the scores best: rank "
    said += f"correlation {best['value']:.2f}"
    if best["interval"] is None:
        return f"{said}, on too few students for an interval ({ours})."
    low, high = best["interval"]
    said += f", {100 * confidence:g} % interval {low:.2f} to {high:.2f}, corrected for "
    said += f"its being the best of {len(told)} ({ours})."
    if low <= 0:
        said += " The interval includes 0: no reward is shown to predict them."
    return said


def _notes(wanted: Sequence[str], usable: Sequence[str]) -> list[str]:
    if LOCAL_LIKELIHOOD in usable or LOCAL_LIKELIHOOD not in wanted:
        return []
    return [
        f"{LOCAL_LIKELIHOOD} is left out: the student has not read the answers sentence by "
        "sentence (set label.local to true and run `kedro run --pipelines=label`)."
    ]
