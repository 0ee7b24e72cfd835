"""The report's content, as one JSON-able value that the terminal and the page draw."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.cleaning import dropped_counts
from persyn_kedro.domain.designs.asked import asked_of, of_random_ones
from persyn_kedro.domain.prompts.left_out import focus_counts, prompts_left_out, without
from persyn_kedro.domain.prompts.select import ANSWERED, CALIBRATION, select_ids
from persyn_kedro.domain.rewards.noise import sampling_noise, spread_within
from persyn_kedro.foundations.settings.generate import GenerateSettings, draws_several
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.teachers import Teachers

VERSION = 5  # raise it when the same inputs give another result

SOURCES = 20  # at most that the report counts
MANY = 0.25  # share of invalid responses that deserves a note


def build_summary(
    assignments: pa.Table,
    rewards: pa.Table,
    calibration_calls: pa.Table,
    routed_calls: pa.Table,
    routed_responses: pa.Table,
    prompts: pads.Dataset,
    sft_dataset: pa.Table,
    router_metrics: dict[str, Any],
    evaluation_metrics: dict[str, Any],
    teachers: Teachers,
    generate: GenerateSettings,
    notes: list[str],
    focus: pads.Dataset | None = None,
    dropped: pads.Dataset | None = None,
) -> dict[str, Any]:
    """Return teachers, calls, router, student and notes, from a run's tables.

    Args:
        focus: ``schemas.FOCUS``, if it leaves out prompts; ``focus`` then counts them.
        dropped: ``schemas.DROPPED_PROMPTS``, if prompts were cleaned; ``dropped`` then counts them.
    """
    names = list(teachers.root)
    answered = select_ids(prompts, ANSWERED)["prompt_id"]
    if focus is not None:
        answered = answered.take(pa.array(without(answered, prompts_left_out(focus))))
    counts = {
        name: prompts.count_rows(filter=pads.field("split") == name)
        for name in ("calibration", "train", "test")
    }
    return {
        "prompts": counts,
        **_sources(prompts),
        **({} if dropped is None else {"dropped": dropped_counts(dropped)}),
        **_focus(focus, routed_responses, generate.at_once),
        "sft_examples": Counter(sft_dataset["part"].to_pylist()),
        "teachers": _teachers(
            assignments,
            rewards,
            calibration_calls,
            routed_calls,
            routed_responses,
            answered,
            names,
        ),
        "calls": {
            **_made(calibration_calls, routed_calls),
            **_on_an_empty_store(assignments, rewards, prompts, len(answered), teachers, generate),
        },
        "router": {
            **router_metrics,
            "constant_teacher": names[router_metrics["constant_index"]],
            **clear_choices(assignments),
        },
        "student": evaluation_metrics,
        "notes": [
            *notes,
            *_batch_notes(routed_responses),
            *_validity_notes(rewards, names),
            *_router_notes(router_metrics),
        ],
    }


def several_answers(
    rewards: pa.Table, teachers: Teachers, label: LabelSettings, generate: GenerateSettings
) -> dict[str, Any]:
    """Return what the report says of several answers to a prompt, as ``samples``; else nothing.

    ``noise`` is ``sampling_noise``; None if rewards are not means over the answers.
    """
    if not draws_several((teachers, generate)):
        return {}
    means = label.samples == "mean"
    return {
        "samples": {
            "teachers": {name: teacher.samples for name, teacher in teachers.root.items()},
            "label": label.samples,
            "generate": generate.samples,
            "keep": generate.keep,
            "spread": spread_within(rewards, list(teachers.root)),
            "noise": sampling_noise(rewards) if means else None,
        }
    }


def clear_choices(assignments: pa.Table) -> dict[str, float]:
    """Return as ``certain`` the share of prompts whose choice is clear; nothing if unknown.

    It is clear if the margin exceeds twice the standard error of the two scores' difference, taken
    as independent.
    """
    if "standard_errors" not in assignments.column_names:
        return {}
    known = assignments.filter(pc.is_valid(assignments["standard_errors"]))
    if not len(known):
        return {}
    scores, errors = (
        known[name].combine_chunks().flatten().to_numpy().reshape(len(known), -1)
        for name in ("scores", "standard_errors")
    )
    two = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    spread = np.hypot(*np.take_along_axis(errors, two, axis=1).T)
    return {"certain": float(np.mean(known["margin"].to_numpy() > 2 * spread))}


def _focus(focus: pads.Dataset | None, responses: pa.Table, calls: int) -> dict[str, Any]:
    """Return what was left out, and what that saved if answers have the mean length."""
    if focus is None:
        return {}
    tokens = pc.mean(responses["completion_tokens"]).as_py() or 0.0
    return {"focus": focus_counts(focus.to_table(), calls, calls * tokens)}


def _sources(prompts: pads.Dataset) -> dict[str, dict[str, int]]:
    """Return the number of prompts by source, most first; nothing for one or for many files."""
    names = prompts.to_table(columns=["source"])["source"]
    counts = {row["values"].as_py(): row["counts"].as_py() for row in names.value_counts()}
    several = 1 < len(counts) <= SOURCES
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    return {"sources": {name: counts[name] for name in ordered}} if several else {}


def _teachers(
    assignments: pa.Table,
    rewards: pa.Table,
    calibration_calls: pa.Table,
    routed_calls: pa.Table,
    routed_responses: pa.Table,
    asked: pa.ChunkedArray,
    teachers: list[str],
) -> list[dict[str, Any]]:
    of_asked = pc.is_in(assignments["prompt_id"], value_set=asked)
    routed = Counter(assignments["teacher"].filter(of_asked).to_pylist())
    tokens: Counter[str] = Counter()
    responses: Counter[str] = Counter()
    for row in routed_responses.select(["teacher", "completion_tokens"]).to_pylist():
        responses[row["teacher"]] += 1
        tokens[row["teacher"]] += row["completion_tokens"] or 0
    made: Counter[str] = Counter()
    for table in (calibration_calls, routed_calls):
        for row in table.to_pylist():
            made[row["teacher"]] += row["calls"]
    calibration = {row["teacher"]: row["responses"] for row in calibration_calls.to_pylist()}
    columns = ("reward", "quality", "learnability")
    fair = of_random_ones(rewards, asked_of(rewards.schema))
    scored = {teacher: _means(fair, teacher, columns) for teacher in teachers}
    return [
        {
            "teacher": teacher,
            "prompts": routed[teacher],
            "calibration_responses": calibration.get(teacher, 0),
            "routed_responses": responses[teacher],
            "tokens": tokens[teacher],
            "calls": made[teacher],
            **{f"mean_{name}": scored[teacher][name] for name in columns},
        }
        for teacher in teachers
    ]


def _means(rewards: pa.Table, teacher: str, columns: tuple[str, ...]) -> dict[str, float | None]:
    rows = [row for row in rewards.to_pylist() if row["teacher"] == teacher]
    means = {}
    for name in columns:
        values = [row[name] for row in rows if row[name] is not None]
        means[name] = sum(values) / len(values) if values else None
    return means


def _made(calibration_calls: pa.Table, routed_calls: pa.Table) -> dict[str, float]:
    tables = (calibration_calls, routed_calls)
    return {
        "made": sum(sum(table["calls"].to_pylist()) for table in tables),
        "cost": sum(cost or 0.0 for table in tables for cost in table["cost"].to_pylist()),
    }


def _on_an_empty_store(
    assignments: pa.Table,
    rewards: pa.Table,
    prompts: pads.Dataset,
    answered: int,
    teachers: Teachers,
    generate: GenerateSettings,
) -> dict[str, int]:
    """METHOD section 4: sum_k S_k n + S (N - n) calls, and what calibration prompts lack of S.

    Of an incomplete design, n is the number of prompts that teacher k was asked. Generate-then-
    Select takes sum_k S_k N.
    """
    own = select_ids(prompts, CALIBRATION)["prompt_id"]
    chosen = assignments.filter(pc.is_in(assignments["prompt_id"], value_set=own))
    samples = {name: teacher.samples for name, teacher in teachers.root.items()}
    n, train = len(own), answered - len(own)
    asked = None
    if asked_of(rewards.schema) is not None:
        columns = ("prompt_id", "teacher")
        asked = set(zip(*(rewards[name].to_pylist() for name in columns), strict=True))
    labelled = sum(samples.values()) * n if asked is None else sum(samples[t] for _, t in asked)
    pairs = zip(chosen["prompt_id"].to_pylist(), chosen["teacher"].to_pylist(), strict=True)
    lacking = sum(
        max(0, generate.at_once - (samples[pair[1]] if asked is None or pair in asked else 0))
        for pair in pairs
    )
    return {
        "on_an_empty_store": labelled + generate.at_once * train + lacking,
        "generate_then_select": sum(samples.values()) * (n + train),
    }


def _batch_notes(routed_responses: pa.Table) -> list[str]:
    """Say which teachers' answers came by a batch API, and how many."""
    engines = pc.fill_null(routed_responses["engine"].cast(pa.string()), "")
    by_batch = routed_responses["teacher"].filter(
        pc.match_substring_regex(engines, r"^\w+ batch\b")
    )
    counts = Counter(by_batch.to_pylist())
    return [
        f"{count} of {teacher}'s answers came by a batch API." for teacher, count in counts.items()
    ]


def _validity_notes(rewards: pa.Table, teachers: list[str]) -> list[str]:
    """Name teachers with many responses that are in no comparison (METHOD section 1)."""
    rows = rewards.select(["teacher", "valid"]).to_pylist()
    notes = []
    for teacher in teachers:
        valid = [row["valid"] for row in rows if row["teacher"] == teacher]
        invalid = 1 - sum(valid) / len(valid) if valid else 0
        if invalid >= MANY:
            notes.append(
                f"{100 * invalid:.0f} % of {teacher}'s calibration responses are invalid (failed, "
                "empty or cut off) and in no comparison, so the router's score of this teacher "
                "means little on similar prompts. Setting train_router.invalid to lose fixes that."
            )
    return notes


def _router_notes(metrics: dict[str, Any]) -> list[str]:
    if metrics["n"] == 0:
        return ["No held-out prompt had two valid teachers, so the router was not measured."]
    if metrics["beats_constant"]:
        return []
    if metrics.get("selection", {}).get("chosen") == "constant":
        return [
            "The router is the constant: no candidate beat always choosing the best teacher, so "
            "every prompt goes to the same one."
        ]
    return [
        "The router does not beat always choosing the best teacher on the held-out prompts: "
        "routing is not worthwhile here yet. More calibration prompts may change that."
    ]
