"""A student's token statistics of responses, computed once for each student."""

from persyn_kedro.domain.stores.parts import PartStore
from persyn_kedro.foundations.storage.paths import Place
from persyn_kedro.foundations.tables.schemas import STORED_STATISTICS


class StatisticsStore(PartStore):
    """STORED_STATISTICS, a shelf for each ``learnability.statistics.scorer_id``."""

    def __init__(self, root: Place):
        super().__init__(root, STORED_STATISTICS)
