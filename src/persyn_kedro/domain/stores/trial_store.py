"""Students that were trained and tested: never trained twice in the same way."""

from persyn_kedro.domain.stores.parts import PartStore
from persyn_kedro.foundations.storage.paths import Place
from persyn_kedro.foundations.tables.schemas import STORED_TRIALS

SHELF = "trials"


class TrialStore(PartStore):
    """STORED_TRIALS on one shelf, a row for each ``student.trial.Trial.trial_id``."""

    def __init__(self, root: Place):
        super().__init__(root, STORED_TRIALS, key=("trial_id",))
