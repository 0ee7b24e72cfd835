"""Responses that were paid for once, shared by every student, alpha and run."""

from pathlib import Path

from persyn_kedro.domain.stores.parts import PartStore
from persyn_kedro.foundations.schemas import STORED_RESPONSES


class ResponseStore(PartStore):
    """STORED_RESPONSES, a shelf for each ``teachers.recipes.Recipe.shelf``."""

    def __init__(self, root: Path):
        super().__init__(root, STORED_RESPONSES)
