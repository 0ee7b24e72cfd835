"""Routers fitted only for their scores of some prompts; no fit is ever repeated."""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from persyn_kedro.domain.routers import embeddings, registry
from persyn_kedro.domain.routers.saving import Readers
from persyn_kedro.domain.routers.tasks import task_of
from persyn_kedro.domain.stores.tables import RoutingStore
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.plugins import code_identity
from persyn_kedro.foundations.settings.references import own_code_named
from persyn_kedro.foundations.settings.routers import TrainRouterSettings

log = logging.getLogger(__name__)

Prompts = dict[str, Prompt]  # by prompt_id
Fit = Callable[
    [list["Fitting"]], Generator[np.ndarray, None, None]
]  # yields each one's (n, K) float32 scores


@dataclass(frozen=True)
class Fitting:
    """A router to fit on some prompts, and the prompts to score.

    Attributes:
        fitted: the prompts fitted on.
        rewards: (n, K) float64, NaN if invalid, in the order of ``fitted``.
        scored: the prompts to score.
        at_random: (n, K) bool, or None (``rewards.asked_at_random``).
    """

    settings: TrainRouterSettings
    backbone: Readers
    seed: int
    fitted: Prompts
    rewards: np.ndarray
    scored: Prompts
    at_random: np.ndarray | None = None

    @cached_property
    def shelf(self) -> str:
        """The routing store's shelf: all that the scores depend on, except the prompts scored."""
        return settings_id(self.identity)

    @property
    def identity(self) -> dict[str, Any]:
        """The shelf's contents, in words and hashes."""
        rows = [
            [prompt_id, [None if np.isnan(r) else r for r in row]]
            for prompt_id, row in zip(self.fitted, self.rewards.tolist(), strict=True)
        ]
        return {
            "version": registry.VERSION,
            **code_identity(self.settings.kind),
            "settings": lasting(self.settings),
            **_identity(self.backbone),
            "seed": self.seed,
            "fitted_on": settings_id({"rows": rows}),
            **self._of_parts,
        }

    @property
    def _of_parts(self) -> dict[str, Any]:
        """What else counts: code of parts, what is read beside texts, what was asked at random."""
        found: dict[str, Any] = {}
        if self.at_random is not None:
            found["at_random"] = settings_id(
                {"rows": self.at_random.tolist(), "levels": "at random"}  # since version 2 of them
            )
        if self.settings.parts and (own := own_code_named(self.settings)):
            found["own_code"] = {kind: code_identity(kind) for kind in own}
        if columns := self.settings.task_columns:
            texts = {**self.fitted, **self.scored}
            tasks = [[p, [task_of(text, c) for c in columns]] for p, text in sorted(texts.items())]
            found["tasks"] = settings_id({"rows": tasks})
        return found


def fit_in_child(fittings: list[Fitting]) -> Generator[np.ndarray, None, None]:
    """Yield each fitting's scores, by a process of their own."""
    with closing(run_in_child(fit_and_score_job, fittings, label="fitting routers")) as results:
        yield from results


def scores_of(
    fittings: Sequence[Fitting], store: RoutingStore, fit: Fit = fit_in_child
) -> list[dict[str, list[float]]]:
    """Return each fitting's scores by prompt_id, (K,) float32 values in the rewards' order.

    What the store lacks is fitted, one by one, and stored immediately.

    Args:
        fit: in which process.
    """
    known = [_stored(fitting, store) for fitting in fittings]
    missing = [i for i, f in enumerate(fittings) if not f.scored.keys() <= known[i].keys()]
    progress.came_from_store(len(fittings) - len(missing), "routers")
    if not missing:
        return known
    log.info("%d of %d routers to fit", len(missing), len(fittings))
    work = [fittings[i] for i in missing]
    with (
        progress.watching("fitting routers", len(missing), "routers") as watch,
        closing(fit(work)) as results,
    ):
        for place, scores in zip(missing, watch.each(results), strict=True):
            fitting = fittings[place]
            rows = [
                {"prompt_id": p, "scores": row}
                for p, row in zip(fitting.scored, scores.tolist(), strict=True)
            ]
            store.describe(fitting.shelf, fitting.identity)
            store.append(fitting.shelf, rows)
            known[place].update({row["prompt_id"]: row["scores"] for row in rows})
            log.info(
                "Fitted a router (%s) on %d prompts", fitting.settings.kind, len(fitting.fitted)
            )
    return known


def fit_and_score_job(fittings: list[Fitting]) -> Iterator[np.ndarray]:
    """Yield each fitting's (n, K) float32 scores; frozen backbones embed each prompt once."""
    with embeddings.remembered():
        for fitting in fittings:
            kind = registry.router_class(fitting.settings.kind)
            router = kind(fitting.backbone, fitting.settings, fitting.seed)
            router.at_random = fitting.at_random
            router.fit(list(fitting.fitted.values()), fitting.rewards)
            yield router.predict_scores(list(fitting.scored.values()))


def _identity(readers: Any) -> dict[str, Any]:
    if isinstance(readers, Mapping):
        return {"models": {name: _identity(model) for name, model in sorted(readers.items())}}
    return {"backbone": readers.weights_id, "chat_template": readers.chat_template}


def _stored(fitting: Fitting, store: RoutingStore) -> dict[str, list[float]]:
    rows = store.read(fitting.shelf).to_pylist()
    return {r["prompt_id"]: r["scores"] for r in rows if r["prompt_id"] in fitting.scored}
