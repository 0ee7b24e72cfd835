"""Responses that were paid for once, shared by every student, alpha and run."""

import json
from typing import Any

from persyn_kedro.domain.stores.parts import IDENTITY_FILE, PartStore
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.storage.paths import Place
from persyn_kedro.foundations.tables.schemas import STORED_RESPONSES


class ResponseStore(PartStore):
    """STORED_RESPONSES, a shelf for each ``teachers.recipes.Recipe.shelf``."""

    def __init__(self, root: Place):
        super().__init__(root, STORED_RESPONSES)

    def identity(self, weights_id: str, recipe_id: str) -> dict[str, Any]:
        """Return what a shelf's ids stand for: model, system prompt, template, sampling."""
        shelf = settings_id({"weights_id": weights_id, "recipe_id": recipe_id})
        path = self.root / shelf / IDENTITY_FILE
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
