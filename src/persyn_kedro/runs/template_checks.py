"""Do the models' chat templates take the roles of all conversations? Checked before a call."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.prompts import role_patterns
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import check_roles, find_model, resolve_model
from persyn_kedro.foundations.prompts import Conversation, Message, with_system
from persyn_kedro.foundations.settings import Settings, models_named
from persyn_kedro.foundations.tables import PROMPT


def check_templates(inputs: Iterable[Any], settings: Settings, resolved: Collection[str]) -> None:
    """Render each pattern of roles among the conversations once for each model that will read it.

    Args:
        inputs: a step's; without conversations in its tables of prompts, no model is looked at.
        resolved: the models that this run uses, which are fetched; of others, only those on this
            disk are checked.

    Raises:
        PersynError: names the first prompt, model and roles that do not go together.
    """
    patterns: dict[tuple[str, ...], str] = {}
    for table in inputs:
        if isinstance(table, pads.Dataset) and {*PROMPT, "prompt_id"} <= {*table.schema.names}:
            patterns |= role_patterns(table)
    for user, name, system in _readers(settings) if patterns else ():
        model = settings.models.root[name]
        if model.endpoint:
            continue  # its template is unknown
        try:
            found = resolve_model(name, model) if name in resolved else find_model(name, model)
        except PersynError:
            if name in resolved:
                raise
            continue
        if found is not None:
            asked = {
                prompt_id: with_system(_example(roles), *system)
                for roles, prompt_id in patterns.items()
            }
            check_roles(found, asked, user)


def _readers(settings: Settings) -> Iterator[tuple[str, str, tuple[Any, Any]]]:
    """Yield each setting that names a model, the model, and how a system message meets a row's."""
    student = settings.student
    yield "student.model", student.model, (student.system, "row_first")
    if settings.label.quality.model:
        yield "label.quality.model", settings.label.quality.model, (None, "row_first")
    embedding = getattr(settings.train_router, "embedding", None)
    for key, name in models_named(settings.train_router).items():
        if key == "embedding.model" and embedding is not None and not embedding.template:
            continue  # it reads a transcript
        yield f"train_router.{key}", name, (None, "row_first")
    for name, teacher in settings.teachers.root.items():
        yield f"teachers.{name}.model", teacher.model, (teacher.system, teacher.row_system)


def _example(roles: tuple[str, ...]) -> Conversation:
    return Conversation(tuple(Message(role, f"Text {n}") for n, role in enumerate(roles)))
