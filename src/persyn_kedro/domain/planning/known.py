"""A teacher as a plan sees it: what the store has of it, and the tokens of a call."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.planning.lengths import Lengths, lengths_of
from persyn_kedro.domain.planning.prompts import NO_IDS
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.recipe import Recipe, make_recipes
from persyn_kedro.domain.teachers.requests import answered_prompts
from persyn_kedro.foundations.models.resolve import ResolvedModel, find_model, identify_weights
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.teachers import Teachers


@dataclass(frozen=True)
class Known:
    """A teacher, what the store has of it, and the tokens per call.

    Attributes:
        samples: answers that labelling wants of it to each calibration prompt.
        answered: by sample index, the prompts that the store has answers to.
    """

    recipe: Recipe
    samples: int
    answered: Mapping[int, pa.Array]
    lengths: Lengths

    def lacking(self, ids: pa.Array, samples: int = 1) -> int:
        """Return how many of the first ``samples`` answers to these prompts the store lacks."""
        return sum(missing(ids, self.in_store(sample)) for sample in range(samples))

    def in_store(self, sample: int) -> pa.Array:
        """Return the prompts whose answer with this index the store has."""
        return self.answered.get(sample, NO_IDS)

    def row(
        self, step: str, responses: float, calls: float, retried: float | None = None
    ) -> dict[str, Any]:
        """Return the row of PLAN. ``retried``: the calls if all that may be repeated are."""
        lengths, price = self.lengths, self.recipe.cost
        prompt, at_most = calls * lengths.prompt, calls if retried is None else retried
        most = at_most * lengths.most
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
            "most_cost": price(at_most * lengths.prompt, most),
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
        samples = teachers.root[recipe.teacher].samples
        known.append(Known(recipe, samples, by_sample(answered), lengths))
    return known


def by_sample(answered: pa.Table) -> dict[int, pa.Array]:
    """Return the prompts of STORED_OUTCOMES by sample index."""
    found = pc.unique(answered["sample_index"]).to_pylist()
    return {
        sample: answered["prompt_id"]
        .filter(pc.equal(answered["sample_index"], sample))
        .combine_chunks()
        for sample in found
    }


def missing(ids: pa.Array, there: pa.Array) -> int:
    """Return how many of ``ids`` are not ``there``."""
    return len(ids) - (pc.sum(pc.is_in(ids, value_set=there)).as_py() or 0)
