"""The calls that a run will make, per teacher, from settings, prompts and the store."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.planning.lengths import Lengths, lengths_of
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.recipe import Recipe, make_recipes
from persyn_kedro.domain.teachers.requests import answered_prompts
from persyn_kedro.foundations.models.resolve import ResolvedModel, find_model, identify_weights
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.models import EngineSettings, Models, Teachers
from persyn_kedro.foundations.tables.schemas import PLAN

LABEL, GENERATE, EVALUATE = "label", "generate", "evaluate"


@dataclass(frozen=True)
class Prompts:
    """The prompts' ids by split, and some of them whole.

    Attributes:
        calibration: ids.
        train: ids.
        test: ids.
        sample: calibration and train prompts, evenly spaced.
        systems: whether a test prompt has a system message of its own.
    """

    calibration: pa.Array
    train: pa.Array
    test: pa.Array
    sample: Sequence[Prompt]
    systems: bool


@dataclass(frozen=True)
class Known:
    """A teacher, the prompts that the store has answers to, and the tokens per call."""

    recipe: Recipe
    prompt_ids: pa.Array
    lengths: Lengths

    def lacking(self, ids: pa.Array) -> int:
        """Return how many of these prompts the store lacks."""
        return len(ids) - (pc.sum(pc.is_in(ids, value_set=self.prompt_ids)).as_py() or 0)

    def row(self, step: str, responses: float, calls: float) -> dict[str, Any]:
        """Return the row of PLAN."""
        lengths, price = self.lengths, self.recipe.cost
        prompt, most = calls * lengths.prompt, calls * lengths.most
        cached = calls * lengths.cached
        completion = calls * lengths.completion
        return {
            "step": step,
            "teacher": self.recipe.teacher,
            "responses": float(responses),
            "calls": float(calls),
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "most_completion_tokens": most,
            "cost": price(prompt, completion, cached),
            "most_cost": price(prompt, most),
            "basis": lengths.basis,
        }


def models_at_hand(models: Models, names: Sequence[str]) -> tuple[dict[str, ResolvedModel], list]:
    """Return the models by name without fetching any, and the names of those not on this disk.

    An absent model has no template or tokenizer yet, so its answers in the store are not found: all
    its calls are counted.
    """
    found: dict[str, ResolvedModel] = {}
    absent = []
    for name in dict.fromkeys(names):
        settings = models.root[name]
        model = find_model(name, settings)
        if model is None:
            absent.append(name)
            model = ResolvedModel(
                name, Path(os.devnull), identify_weights(name, settings), settings
            )
        found[name] = model
    return found, absent


def known_teachers(
    teachers: Teachers,
    models: Mapping[str, ResolvedModel],
    store: ResponseStore,
    engine: EngineSettings,
    sample: Sequence[Prompt],
) -> list[Known]:
    """Return the pool with what the store has from each, in the settings' order."""
    known = []
    for recipe in make_recipes(teachers, dict(models)):
        answered = answered_prompts(recipe, store, engine)
        lengths = lengths_of(recipe, answered, sample)
        known.append(Known(recipe, answered["prompt_id"].combine_chunks(), lengths))
    return known


def plan_calls(
    pool: Sequence[Known], prompts: Prompts, routed: Mapping[str, pa.Array] | None
) -> list[dict[str, Any]]:
    """Return rows of PLAN: every teacher's calibration calls, then the routed ones.

    METHOD section 4: K n + (N - n) calls on an empty store. The calibration prompts' routed answers
    are among those from labelling, so they need no call.

    Args:
        routed: by teacher, the train prompts that a router sent to it; None without a router: then
            each prompt is equally likely to go to any teacher.
    """
    rows = [
        k.row(LABEL, len(prompts.calibration), lacking)
        for k, lacking in zip(pool, _once(pool, [prompts.calibration] * len(pool)), strict=True)
    ]
    if routed is not None:
        wanted = [routed.get(k.recipe.teacher, pa.array([], pa.string())) for k in pool]
        counts = _once(pool, wanted)
        pairs = zip(pool, wanted, counts, strict=True)
        return rows + [k.row(GENERATE, len(ids), calls) for k, ids, calls in pairs]
    share = 1 / len(pool)
    return rows + [
        k.row(GENERATE, share * len(prompts.train), share * k.lacking(prompts.train)) for k in pool
    ]


def _once(pool: Sequence[Known], wanted: Sequence[pa.Array]) -> list[int]:
    """Return each teacher's calls; what two teachers with one recipe both want is asked once."""
    asked: dict[str, list[pa.Array]] = {}
    counts = []
    for known, ids in zip(pool, wanted, strict=True):
        before = asked.setdefault(known.recipe.shelf, [known.prompt_ids])
        there = pc.is_in(ids, value_set=pa.concat_arrays(before))
        counts.append(len(ids) - (pc.sum(there).as_py() or 0))
        before.append(ids)
    return counts


def generate_then_select(pool: Sequence[Known], prompts: Prompts) -> dict[str, float]:
    """Return calls, tokens and cost of all teachers answering all prompts, on an empty store."""
    count = len(prompts.calibration) + len(prompts.train)
    rows = [known.row(GENERATE, count, count) for known in pool]
    return totals(rows)


def range_of_routing(pool: Sequence[Known], prompts: Prompts) -> list[float]:
    """Return the lowest and highest expected cost of the routed calls: all to one teacher."""
    costs = [known.row(GENERATE, 0, known.lacking(prompts.train))["cost"] for known in pool]
    return [min(costs), max(costs)]


def most_cost(
    rows: Sequence[Mapping[str, Any]],
    pool: Sequence[Known],
    prompts: Prompts,
    routed: Mapping[str, pa.Array] | None,
) -> float:
    """Return the maximum cost of the calls in these rows of PLAN, whatever a router chooses."""
    if routed is not None:
        return totals(rows)["most_cost"]
    label = totals([row for row in rows if row["step"] == LABEL])["most_cost"]
    all_to_one = [k.row(GENERATE, 0, k.lacking(prompts.train))["most_cost"] for k in pool]
    return label + max(all_to_one)


def totals(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the sums of the amounts over rows of PLAN."""
    amounts = [field.name for field in PLAN if field.type == pa.float64()]
    return {name: float(np.sum([row[name] for row in rows])) for name in amounts}
