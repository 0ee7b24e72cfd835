"""Conversations and chat templates, checked before a model is asked."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.api.pool import Pool
from persyn_kedro.domain.prompts import check_templates, conversation_readers


def check_conversations(prompts: pa.Table, pool: Pool, **read_by: Any) -> None:
    """Refuse conversations whose roles the template of a model that reads them does not take.

    Args:
        prompts: ``schemas.SOURCE_PROMPTS``.
        pool: of the models.
        read_by: settings, as for ``domain.prompts.conversation_readers``.

    Raises:
        PersynError: names the first prompt, model and roles that do not go together.
    """
    check_templates(
        [pads.dataset(prompts)], conversation_readers(**read_by), pool.models, pool.models.root
    )
