"""Quality of responses, computed once for each way of judging and each reference."""

from persyn_kedro.domain.stores.parts import PartStore
from persyn_kedro.foundations.storage.paths import Place
from persyn_kedro.foundations.tables.schemas import STORED_QUALITY


class QualityStore(PartStore):
    """STORED_QUALITY, a shelf for each quality settings' id. Null quality is unknown, never 0."""

    def __init__(self, root: Place):
        super().__init__(root, STORED_QUALITY, key=("response_key", "reference_id"))
