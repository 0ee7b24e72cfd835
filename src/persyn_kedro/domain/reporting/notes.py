"""Notes about labels and pool for the report's readers."""

from collections import defaultdict
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.designs.asked import asked_of
from persyn_kedro.domain.quality.judge.note import Judged, judged_of
from persyn_kedro.domain.rewards.reward import TIE
from persyn_kedro.foundations.models.resolve import identify_weights
from persyn_kedro.foundations.settings.label import (
    LOCAL_LIKELIHOOD,
    SIGNALS,
    VERDICTS,
    LabelSettings,
)
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.plugins import is_own
from persyn_kedro.foundations.settings.student import StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers

VERSION = 6  # raise it when the same inputs give another result

MANY_UNSOLVED = 0.1  # share of the calibration prompts
MANY_TIED = 0.3  # share of those with two answers or more
LIKELIHOODS = ("mean_log_likelihood", "brier", "worst_window", LOCAL_LIKELIHOOD)


def label_notes(label: LabelSettings) -> list[str]:
    """Return notes about the labels for the report's readers."""
    notes = []
    if is_own(label.learnability):
        notes.append(f"Learnability is computed by {label.learnability}, in its own unit.")
    elif label.learnability != "mean_log_likelihood":
        notes.append(
            f"Learnability is {label.learnability} ({SIGNALS[label.learnability]}), in its own "
            "unit, and not the paper's mean log-likelihood."
        )
    if label.normalise != "prompt_minmax":
        notes.append(
            f"Quality and learnability are normalised by {label.normalise} (label.normalise), not "
            "as in the paper."
        )
    return notes


def pool_notes(models: Models, teachers: Teachers, student: StudentSettings) -> list[str]:
    """Return notes about the pool for the report's readers."""
    own, used = _weights(models, student.model), teachers.root.items()
    same = [name for name, t in used if _weights(models, t.model) == own]
    if not same:
        return []
    return [
        f"The pool contains the student's own model (teacher {', '.join(same)}). The student finds "
        "its text the most likely by construction, so learnability favours it at equal quality."
    ]


def judge_notes(judged: pa.Table) -> list[str]:
    """Say how far judges' verdicts can be trusted: unread replies, length and position.

    Args:
        judged: a table that notes its judges (``with_judged``).
    """
    return [note for own in judged_of(judged.schema) for note in _judge_notes(own)]


def _judge_notes(judged: Judged) -> list[str]:
    counts, who = judged.counts, f"the judge {judged.model}"
    failed, unreadable = counts.get("failed", 0), counts.get("unreadable", 0)
    notes = [
        f"Quality is what {who} says by the rubric {judged.rubric} "
        f"({judged.mode}): of {counts.get('replies', 0)} replies {unreadable} are unreadable and "
        f"{failed} failed; the quality of {judged.unknown} of {judged.answers} answers is unknown."
    ]
    if judged.length is not None:
        notes.append(
            f"Verbosity of {who} ({judged.mode}): the rank correlation of its quality and the "
            f"answer's length is {judged.length:.2f}, the mean over {judged.prompts} prompts."
        )
    if pairs := counts.get("pairs", 0):
        follow, first = counts.get("by_position", 0), counts.get("by_first", 0)
        notes.append(
            f"Position, {who}: of {pairs} pairs judged in both orders, "
            f"{100 * follow / pairs:.0f} % have a verdict that follows the position "
            f"({first} times the first, {follow - first} times the second); they count as ties."
        )
    if lists := counts.get("lists", 0):
        chance = counts["first_by_chance"] / lists
        notes.append(
            f"Position, {who}: in {100 * counts.get('first_best', 0) / lists:.0f} % of "
            f"{lists} lists the answer shown first is ranked best ({100 * chance:.0f} % by chance)."
        )
    return notes


def design_notes(rewards: pa.Table) -> list[str]:
    """Say whom an incomplete design asked, and what that means for the figures."""
    asked = asked_of(rewards.schema)
    if asked is None:
        return []
    prompts, told = len(pc.unique(rewards["prompt_id"])), asked.adaptive
    pairs = f"{len(rewards)} of {prompts * len(asked.teachers)} pairs of prompt and teacher"
    notes = [
        f"Calibration asked {pairs} (label.design). Hit@k and regret of the router are among the "
        "teachers that a prompt was asked of; its reward is corrected for that."
    ]
    if told:
        batches = 1 + told["batches"]
        notes.append(
            f"It asked {batches} batch{'es' if batches > 1 else ''} and then ended: {told['why']}."
        )
        notes += [
            f"Teacher {name} was the best for no kind of prompt, and was asked no more after "
            f"{after} answers of all teachers."
            for name, after in told["dropped"].items()
        ]
    return notes


def family_notes(
    rewards: pa.Table,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
) -> list[str]:
    """Warn if likelihood, and not quality, makes teachers of the student's family the best."""
    own, family = _weights(models, student.model), models.root[student.model].family
    related = [
        name
        for name, t in teachers.root.items()
        if _weights(models, t.model) == own or (family and models.root[t.model].family == family)
    ]
    if label.learnability not in LIKELIHOODS or not label.alpha or not related:
        return []
    decided, asked = _decided_for(rewards, related)
    if not decided:
        return []
    return [
        f"On {decided} of {asked} calibration prompts a teacher of the student's own family "
        f"({', '.join(related)}) is the best by likelihood and not by quality. A student finds its "
        "family's text likely whether or not it can learn from it: compare other signals with "
        "`kedro run --pipelines=compare_signals`, or measure them with `--pipelines=fit_signal`."
    ]


def unsolved_notes(rewards: pa.Table, label: LabelSettings) -> list[str]:
    """Say on how many calibration prompts all answers are wrong, so that quality decides nothing.

    Only where quality is 0 or 1, as of exact answers and code.

    Args:
        rewards: ``schemas.REWARDS``.
    """
    known = _judged(rewards)
    if not label.alpha or not {*pc.unique(known["quality"]).to_pylist()} <= {0.0, 1.0}:
        return []
    best = known.group_by("prompt_id").aggregate([("quality", "max")])["quality_max"]
    unsolved, judged = pc.sum(pc.equal(best, 0)).as_py() or 0, len(best)
    if unsolved < MANY_UNSOLVED * judged or not unsolved:
        return []
    return [
        f"On {unsolved} of {judged} calibration prompts no usable answer is right. Learnability "
        "alone decides there which wrong answer has the highest reward. Look whether their "
        "references are right. label.unsolved: leave_out leaves such prompts out; with "
        "generate.verification: drop no answer is trained on that its reference shows to be wrong."
    ]


def tied_notes(rewards: pa.Table, label: LabelSettings) -> list[str]:
    """Say on how many calibration prompts a score has all answers alike, so it decides nothing.

    Only where quality is a score, as of a judge, and not a verdict: right answers are alike.

    Args:
        rewards: ``schemas.REWARDS``.
    """
    if label.alpha in (0, 1) or all(way.kind in VERDICTS for way in label.ways):
        return []
    known = _judged(rewards)
    if {*pc.unique(known["quality"]).to_pylist()} <= {0.0, 1.0}:
        return []
    found = known.group_by("prompt_id").aggregate(
        [("quality", "min"), ("quality", "max"), ("quality", "count")]
    )
    found = found.filter(pc.greater(found["quality_count"], 1))
    spread = pc.subtract(found["quality_max"], found["quality_min"])
    tied, compared = pc.sum(pc.less_equal(spread, TIE)).as_py() or 0, len(found)
    if tied < MANY_TIED * compared or not tied:
        return []
    return [
        f"On {tied} of {compared} calibration prompts all usable answers have the same quality. "
        "Learnability alone decides there which answer is the best. Read some of these answers: "
        "the score may be too coarse to tell good ones from poor ones. Compare ways of judging "
        "with `kedro run --pipelines=compare_quality`."
    ]


def _judged(rewards: pa.Table) -> pa.Table:
    """Return the usable answers whose quality is known."""
    return rewards.filter(pc.and_(rewards["valid"], pc.is_valid(rewards["quality"])))


def _decided_for(rewards: pa.Table, related: Collection[str]) -> tuple[int, int]:
    """Return on how many prompts quality alone does not make the best teacher, a related one, the
    best, and the number of prompts with two or more valid teachers."""
    valid = defaultdict(list)
    for row in rewards.select(["prompt_id", "teacher", "quality", "reward", "valid"]).to_pylist():
        if row["valid"]:
            valid[row["prompt_id"]].append(row)
    compared = [rows for rows in valid.values() if len(rows) > 1]
    decided = 0
    for rows in compared:
        best = max(rows, key=lambda row: row["reward"])  # the first of equals
        others = [row["quality"] for row in rows if row is not best]
        by_quality = best["quality"] is not None and all(
            q is not None and q < best["quality"] - TIE for q in others
        )
        decided += best["teacher"] in related and not by_quality
    return decided, len(compared)


def _weights(models: Models, name: str) -> str:
    return identify_weights(name, models.root[name])
