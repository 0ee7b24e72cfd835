"""Conversations and chat templates: each table of prompts is checked once in a run."""

from collections.abc import Mapping
from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.prompts import check_templates, conversation_readers
from persyn_kedro.foundations.settings import Settings
from persyn_kedro.foundations.tables import PROMPT


class TemplateChecks:
    """Checks of a run's tables, before the first step that calls teachers reads them.

    Args:
        settings: all, also those of models that read the conversations in later steps.
        resolved: the models that this run uses.
    """

    def __init__(self, settings: Settings, resolved: set[str]) -> None:
        self._settings, self._resolved = settings, resolved
        self._done: set[str] = set()

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Check those of a step's inputs that are tables of prompts and were not checked yet.

        Raises:
            PersynError: names the first prompt, model and roles that do not go together.
        """
        tables = {
            name: table
            for name, table in inputs.items()
            if isinstance(table, pads.Dataset) and {*PROMPT, "prompt_id"} <= {*table.schema.names}
        }
        new = [table for name, table in tables.items() if name not in self._done]
        own = self._settings
        check_templates(
            new,
            conversation_readers(
                student=own.student,
                label=own.label,
                train_router=own.train_router,
                teachers=own.teachers,
            ),
            own.models,
            self._resolved,
        )
        self._done |= tables.keys()
