"""Have the teachers answer by ``label.design``, whichever it is."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.adaptive.batches import answer_adaptively
from persyn_kedro.domain.adaptive.calibration import Calibration
from persyn_kedro.domain.adaptive.scoring import Scoring
from persyn_kedro.domain.designs.asked import Asked, with_asked
from persyn_kedro.domain.designs.balanced import balanced, check_each_is_asked
from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.models.resolve import resolve_models
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.teachers import Teachers


def answer_by_design(
    prompts: ChosenPrompts,
    recipes: Sequence[Recipe],
    scoring: Scoring,
    train_router: TrainRouterSettings,
    routed: int,
    seed: int,
    ask: Callable[[Mapping[str, ChosenPrompts]], tuple[pa.Table, pa.Table]],
) -> tuple[pa.Table, pa.Table]:
    """Return the responses, grouped by teacher in the prompts' order, and the calls made now.

    Args:
        prompts: the calibration prompts.
        scoring: its prompts have a ``part``, if some are held out; only an adaptive design scores.
        routed: prompts that the router will serve, if the settings do not say.
        ask: ``{teacher: ChosenPrompts}`` to ``schemas.RESPONSES`` and ``CALLS``.

    Raises:
        PersynError: there are too few prompts for every teacher to be asked one.
    """
    design, ids = scoring.label.design, prompts.ids.to_pylist()
    names = [recipe.teacher for recipe in recipes]
    asked = balanced(ids, names, design.at_random, seed)
    check_each_is_asked(asked, names)

    def ask_pairs(pairs: np.ndarray) -> tuple[pa.Table, pa.Table]:
        return ask(_wanted(prompts, pairs, scoring.teachers))

    if design.adaptive is None:
        responses, calls = ask_pairs(asked)
        note = None if design.at_random is None else Asked(names, design.at_random, seed)
        return with_asked(responses, note), calls
    parts = [scoring.prompts[prompt_id].get("part") for prompt_id in ids]
    calibration = Calibration(
        ids,
        _embedded(prompts, scoring, train_router),
        np.array([part != "holdout" for part in parts]),
        recipes,
        design.adaptive.routed or routed,
        ask_pairs,
        scoring.rewards,
    )
    return answer_adaptively(calibration, design.adaptive, seed)


def _wanted(
    prompts: ChosenPrompts, pairs: np.ndarray, teachers: Teachers
) -> Mapping[str, ChosenPrompts]:
    """Return by teacher the prompts to ask, each as often as the teacher answers."""
    return {
        name: prompts.at(np.flatnonzero(pairs[:, k])).several(teacher.samples)
        for k, (name, teacher) in enumerate(teachers.root.items())
    }


def _embedded(
    prompts: ChosenPrompts, scoring: Scoring, train_router: TrainRouterSettings
) -> np.ndarray:
    """Return (n, d): the prompts as the router's backbone reads them."""
    backbone = resolve_models(scoring.models, [train_router.backbone])[train_router.backbone]
    batches = run_in_child(
        embeddings.embed_batches,
        backbone,
        [prompt for _, prompt in prompts],
        train_router.batch_size,
        train_router.max_prompt_tokens,
        label="embedding the calibration prompts",
    )
    return np.concatenate(list(batches))
