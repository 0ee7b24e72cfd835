"""Why a prompt goes to its teacher: all scores, and the true rewards of the nearest prompts."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.cost_aware.expected import CostModel
from persyn_kedro.domain.cost_aware.weighing import price_of
from persyn_kedro.domain.designs.asked import asked_of
from persyn_kedro.domain.routers.assignment import ranked, weighed_by
from persyn_kedro.domain.routers.examples import fitted_examples
from persyn_kedro.domain.routers.explained import Explanation, Neighbour, ScoredTeacher
from persyn_kedro.domain.routers.jobs import read_prompt_job
from persyn_kedro.domain.routers.metrics import oracles
from persyn_kedro.domain.routers.nearest import Nearest
from persyn_kedro.domain.routers.saving import Pool, read_description, selection_of, settings_in
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.domain.routers.tasks import with_tasks
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.tables.messages import prompt_of
from persyn_kedro.foundations.tables.references import spoken

NEIGHBOURS = 5  # shown if the router itself uses none


@dataclass(frozen=True)
class RouterTables:
    """A router's directory, and the tables in the versions that belong to it.

    ``assignments`` are those that it made, or None. Fields have the names of the catalog's
    datasets.
    """

    router: Path
    prompts: pads.Dataset
    rewards: pads.Dataset
    assignments: pads.Dataset | None
    response_store: ResponseStore
    cost_model: Mapping[str, Any] | None = None


def explain(
    prompt: Mapping[str, Any], tables: RouterTables, count: int | None = None
) -> Explanation:
    """Explain a prompt's choice of teacher. Makes no API calls.

    The router runs in its own process. kNN has kept the embeddings of the prompts that it was
    fitted on; the other kinds pass them all through the backbone again.

    Args:
        prompt: as returned by ``prompts.find``.
        count: of neighbours; None: the kNN router's own number, ``NEIGHBOURS`` for the others. With
            0, a prompt that was routed needs no model.

    Raises:
        PersynError: the router is missing or incomplete, or was fitted on other tables.
    """
    description = read_description(tables.router)
    fitted = fitted_examples(tables.prompts, tables.rewards.to_table(), description)
    if count is None:
        knn = description["kind"] == "knn"
        count = description["settings"]["neighbours"] if knn else NEIGHBOURS
    found, near = _routed_scores(tables.assignments, prompt["prompt_id"]), None
    routed = found is not None
    if count or found is None:
        asked = {row["prompt_id"]: prompt_of(row) for row in [prompt, *fitted[0]]}
        asked = with_tasks(asked, tables.prompts, settings_in(description).task_columns)
        others = [asked[row["prompt_id"]] for row in fitted[0]]
        own = asked[prompt["prompt_id"]]
        job = run_in_child(read_prompt_job, own, others, tables.router, count, label="explaining")
        with closing(job):
            now, near = next(job)
        found = now if found is None else found
    prices = _prices(prompt, tables)
    if prices and not routed:
        found = found._replace(scores=found.scores - np.float32(prices[0]))
    return Explanation(
        prompt["prompt_id"],
        prompt["prompt"],
        spoken(prompt),
        prompt["split"],
        prompt["part"],
        routed=routed,
        router=_described(description, tables.router),
        teachers=scored_teachers(
            prompt["prompt_id"], found, description["teachers"], tables, prices
        ),
        neighbours=neighbours(near, *fitted, _names(description)) if near else [],
    )


def scored_teachers(
    prompt_id: str,
    scored: Scored,
    pool: Pool,
    tables: RouterTables,
    prices: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[ScoredTeacher]:
    """Return the pool by descending score, (1, K) in its order, with the facts on each.

    ``prices``: (K,) prices and expected tokens, if costs or limits count.
    """
    rewards = {row["teacher"]: row for row in _rows(tables.rewards, prompt_id)}
    found = []
    (scores,), errors = scored.scores, scored.errors
    for k in ranked(scores[None], len(pool))[0]:
        name = pool[k]["teacher"]
        true = rewards.get(name, {})
        sample = true.get("sample_index") or 0
        answer = _response(tables.response_store, pool[k], prompt_id, sample)
        terms = {term: true.get(term) for term in ("reward", "quality", "learnability")}
        text = {term: answer.get(term) for term in ("response", "finish_reason", "sample_index")}
        error = None if errors is None else float(errors[0, k])
        price, tokens = (float(p[k]) for p in prices) if prices else (None, None)
        found.append(
            ScoredTeacher(
                name, float(scores[k]), error, **terms, **text, price=price, expected_tokens=tokens
            )
        )
    return found


def neighbours(
    near: Nearest, rows: Sequence[Mapping[str, Any]], rewards: np.ndarray, teachers: Sequence[str]
) -> list[Neighbour]:
    """Return the nearest fitted prompts with their true rewards, (n, K), None if not finite."""
    best = oracles(rewards)
    return [
        Neighbour(
            rows[i]["prompt_id"],
            rows[i]["prompt"],
            float(distance),
            float(similarity),
            {
                t: float(r) if np.isfinite(r) else None
                for t, r in zip(teachers, rewards[i], strict=True)
            },
            [t for t, is_best in zip(teachers, best[i], strict=True) if is_best],
        )
        for i, distance, similarity in zip(
            near.places, near.distances, near.similarities, strict=True
        )
    ]


def _prices(
    prompt: Mapping[str, Any], tables: RouterTables
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (K,) what the answers' prices took off the scores, and their expected tokens."""
    note = weighed_by(tables.assignments.schema) if tables.assignments is not None else None
    if note is None or tables.cost_model is None:
        return None
    lines, size = tables.cost_model["teachers"], len(prompt["prompt"].encode())
    costs = CostModel({name: {**lines[name], **note["per_token"][name]} for name in lines})
    unasked = None
    if asked_of(tables.rewards.schema) is not None:
        answered = {row["teacher"] for row in _rows(tables.rewards, prompt["prompt_id"])}
        unasked = [name not in answered for name in costs.teachers]
    prices = price_of(note, costs, size, prompt["split"] == "calibration", unasked)
    return prices, costs.cost(np.array([size]), "tokens")[0]


def _routed_scores(assignments: pads.Dataset | None, prompt_id: str) -> Scored | None:
    rows = _rows(assignments, prompt_id) if assignments is not None else []
    if not rows:
        return None
    scores, errors = rows[0]["scores"], rows[0].get("standard_errors")
    found = np.array([scores], np.float32)
    return Scored(found, None if errors is None else np.array([errors], np.float32))


def _response(
    store: ResponseStore, member: Mapping[str, str], prompt_id: str, sample: int
) -> dict[str, Any]:
    """Return a teacher's stored response, or an empty dict."""
    shelf = settings_id({name: member[name] for name in ("weights_id", "recipe_id")})
    rows = store.read(shelf, ["prompt_id", "sample_index", "response", "finish_reason"])
    wanted = (pc.field("prompt_id") == prompt_id) & (pc.field("sample_index") == sample)
    return next(iter(rows.filter(wanted).to_pylist()), {})


def _described(description: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    selection, own = selection_of(directory), description["settings"]
    weighs = own.get("weights") == "distance" or own.get("shrinkage")  # a kNN router's own mean
    return {
        "kind": description["kind"],
        **({"chosen": selection["chosen"]} if selection else {}),
        **({"mean": "weighted or shrunken mean"} if weighs else {}),
        **({"loss": loss} if (loss := own.get("loss")) else {}),
        "backbone": description["backbone"]["name"],
        "n_fit": description["n_fit"],
        "invalid": description["settings"]["invalid"],
        "neighbours": description["settings"].get("neighbours"),
    }


def _names(description: Mapping[str, Any]) -> list[str]:
    return [member["teacher"] for member in description["teachers"]]


def _rows(dataset: pads.Dataset, prompt_id: str) -> list[dict[str, Any]]:
    return dataset.to_table(filter=pc.field("prompt_id") == prompt_id).to_pylist()
