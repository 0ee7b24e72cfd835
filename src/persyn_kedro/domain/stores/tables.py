"""The stores by content. Each is append-only, and never stores a row twice."""

import json
from typing import Any

from persyn_kedro.domain.stores.jobs import JobStore
from persyn_kedro.domain.stores.parts import IDENTITY_FILE, PartStore
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.storage.paths import Place
from persyn_kedro.foundations.tables.schemas import (
    STORED_QUALITY,
    STORED_RESPONSES,
    STORED_SCORES,
    STORED_STATISTICS,
    STORED_TRIALS,
)

TRIALS = "trials"  # the only shelf of a TrialStore


class ResponseStore(PartStore):
    """Responses that were paid for once, shared by every student, alpha and run.

    STORED_RESPONSES, with a shelf for each ``teachers.recipe.Recipe.shelf``.
    """

    def __init__(self, root: Place):
        super().__init__(root, STORED_RESPONSES)

    @property
    def jobs(self) -> JobStore:
        """The batch jobs that are asked for responses."""
        return JobStore(self.root / "batches")

    def identity(self, weights_id: str, recipe_id: str) -> dict[str, Any]:
        """Return what a shelf's ids stand for: model, system prompt, template, sampling."""
        shelf = settings_id({"weights_id": weights_id, "recipe_id": recipe_id})
        path = self.root / shelf / IDENTITY_FILE
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


class StatisticsStore(PartStore):
    """A student's token statistics of responses, computed once for each student.

    STORED_STATISTICS, with a shelf for each ``learnability.statistics.scorer_id``.
    """

    def __init__(self, root: Place):
        super().__init__(root, STORED_STATISTICS)


class QualityStore(PartStore):
    """Quality of responses, computed once for each way of judging and each reference.

    STORED_QUALITY, with a shelf for each id of quality settings. A null quality is unknown, not 0.
    """

    def __init__(self, root: Place):
        super().__init__(root, STORED_QUALITY, key=("response_key", "reference_id"))


class RoutingStore(PartStore):
    """Scores of routers that were fitted once, for other runs and after a kill.

    STORED_SCORES, with a shelf for each ``router_comparison.fitting.Fitting.shelf``.
    """

    def __init__(self, root: Place):
        super().__init__(root, STORED_SCORES, key=("prompt_id",))


class TrialStore(PartStore):
    """Students that were trained and tested; the same training is never repeated.

    STORED_TRIALS on one shelf, with a row for each ``comparison.trial.Trial.trial_id``.
    """

    def __init__(self, root: Place):
        super().__init__(root, STORED_TRIALS, key=("trial_id",))
