"""What each adapter is trained on: the answers that one reward chooses, as many tokens for each."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.comparison.strategies.examples import Trainable
from persyn_kedro.domain.comparison.strategies.labelled import Labelled
from persyn_kedro.domain.rewards.reward import TIE
from persyn_kedro.domain.signal_comparison.candidates import Candidate, candidates
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.signals import FitSignalSettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.messages import columns_of

VERSION = 1  # raise it when the same inputs give another result

TEACHER = "teacher_"  # before its name, in the name of its adapter


def hold_out(
    prompt_ids: Sequence[str], settings: FitSignalSettings, seed: int
) -> tuple[list[str], list[str]]:
    """Return the calibration prompts to train on and those that the adapters answer, drawn.

    Raises:
        PersynError: there are too few for both.
    """
    drawn = sorted(prompt_ids, key=lambda p: (unit_draw(seed, "fit_signal", p), p))
    held = round(settings.held_out * len(drawn))
    if not 0 < held < len(drawn):
        raise PersynError(
            f"{len(drawn)} calibration prompts cannot be shared out by fit_signal.held_out = "
            f"{settings.held_out:g}: none would be left {'to train on' if held else 'to answer'}."
        )
    return drawn[held:], drawn[:held]


def signal_sets(
    labelled: Labelled,
    prompts: Mapping[str, Prompt],
    trainable: Trainable,
    settings: FitSignalSettings,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return each candidate's examples (``schemas.STRATEGY_EXAMPLES``), and notes.

    An example that would take a set over the number of tokens is left out. Prompts are taken in
    the order of ``prompts``; tokens are the student's.

    Args:
        labelled: of the prompts to train on.

    Returns:
        tuple: The table, and ``{"own": the name of the settings' own reward, "budget": tokens,
        "candidates": {name: {"signal", "alpha", "teacher", "tokens", "examples", "available"}},
        "left_out": names of those without a usable answer}``.

    Raises:
        PersynError: the settings' own reward has no usable answer.
    """
    rows = {row["response_key"]: row for row in labelled.responses.to_pylist()}
    tokens = _tokens(labelled.statistics)
    sets: dict[str, list[dict[str, Any]]] = {}
    about: dict[str, dict[str, Any]] = {}
    for name, meaning, keys in _chosen(labelled, settings):
        own = {rows[key]["prompt_id"]: rows[key] for key in keys}
        examples = [_example(name, own[p], prompts[p], trainable) for p in prompts if p in own]
        sets[name], about[name] = [each for each in examples if each is not None], meaning
    own_name = next(iter(sets))
    totals = {n: sum(tokens[e["response_key"]] for e in own) for n, own in sets.items()}
    if not totals[own_name]:
        raise PersynError(
            "No calibration answer that label's reward chooses can be trained on: they failed, "
            "were cut off, or are longer than sft.max_length."
        )
    left_out = [name for name in sets if not totals[name]]
    sets = {name: own for name, own in sets.items() if totals[name]}
    budget = settings.tokens or min(totals[name] for name in sets)
    kept = {name: _within(own, tokens, budget) for name, own in sets.items()}
    notes = {
        name: {
            **about[name],
            "examples": len(own),
            "tokens": sum(tokens[row["response_key"]] for row in own),
            "available": totals[name],
        }
        for name, own in kept.items()
    }
    table = pa.Table.from_pylist(
        [r for own in kept.values() for r in own], schemas.STRATEGY_EXAMPLES
    )
    about_all = {"own": own_name, "budget": budget, "candidates": notes, "left_out": left_out}
    return table, about_all


def _tokens(statistics: pa.Table) -> dict[str, int]:
    columns = statistics.select(["response_key", "tokens"]).to_pydict()
    return dict(zip(columns["response_key"], columns["tokens"], strict=True))


def _chosen(
    labelled: Labelled, settings: FitSignalSettings
) -> list[tuple[str, dict[str, Any], list[str]]]:
    """Return name, meaning and the answers' keys of each candidate, the settings' own first."""
    how = labelled.label.normalise
    found = []
    for each in candidates(labelled.label, settings.signals, [how], settings.alphas):
        meaning = {"signal": each.signal, "alpha": each.alpha, "teacher": None}
        found.append((each.name, meaning, _best(labelled, each)))
    if settings.teachers:
        valid = labelled.table_with().filter(pc.field("valid"))
        for teacher in labelled.teachers:
            keys = valid.filter(pc.field("teacher") == teacher)["response_key"].to_pylist()
            meaning = {"signal": None, "alpha": None, "teacher": teacher}
            found.append((f"{TEACHER}{teacher}", meaning, keys))
    return found


def _best(labelled: Labelled, candidate: Candidate) -> list[str]:
    """Return the key of each prompt's best answer by this reward, the first teacher's of equals."""
    best: dict[str, dict[str, Any]] = {}
    for row in labelled.table_with(**candidate.changes).to_pylist():
        before = best.get(row["prompt_id"])
        if row["valid"] and (before is None or row["reward"] > before["reward"] + TIE):
            best[row["prompt_id"]] = row
    return [row["response_key"] for row in best.values()]


def _example(
    strategy: str, row: Mapping[str, Any], prompt: Prompt, trainable: Trainable
) -> dict[str, Any] | None:
    text = trainable.text(row, prompt)
    if text is None:
        return None
    names = ("prompt_id", "teacher", "response_key")
    own = {name: row[name] for name in names}
    return {"strategy": strategy, **own, **columns_of(prompt), "response": text}


def _within(
    rows: Sequence[dict[str, Any]], tokens: Mapping[str, int], budget: int
) -> list[dict[str, Any]]:
    """Return the rows that, in order, do not take the sum of tokens over ``budget``."""
    kept, total = [], 0
    for row in rows:
        if total + tokens[row["response_key"]] <= budget:
            kept.append(row)
            total += tokens[row["response_key"]]
    return kept
