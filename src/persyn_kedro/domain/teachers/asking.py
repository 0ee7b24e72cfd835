"""All that it takes to ask a model, whoever asks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.client import answer
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.domain.teachers.requests import Wanted
from persyn_kedro.foundations.settings.engine import EngineSettings


@dataclass(frozen=True)
class Asking:
    """The one way of calling models, for those that do not know whom they will have to ask."""

    store: ResponseStore
    engine: EngineSettings
    seed: int
    ledger: Ledger = field(default_factory=Ledger)

    def answer(self, wanted: Wanted, recipes: Sequence[Recipe]) -> pa.Table:
        """Return the responses (``schemas.RESPONSES``) as ``client.answer`` does."""
        return answer(wanted, recipes, self.store, self.engine, self.seed, self.ledger)[0]
