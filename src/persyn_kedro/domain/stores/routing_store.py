"""Scores of routers that were fitted once: another run, or a killed one, finds them again."""

from persyn_kedro.domain.stores.parts import PartStore
from persyn_kedro.foundations.storage.paths import Place
from persyn_kedro.foundations.tables.schemas import STORED_SCORES


class RoutingStore(PartStore):
    """STORED_SCORES, a shelf for each ``routers.fitting.Fitting.shelf``."""

    def __init__(self, root: Place):
        super().__init__(root, STORED_SCORES, key=("prompt_id",))
