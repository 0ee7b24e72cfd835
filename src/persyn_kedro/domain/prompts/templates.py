"""Do the models' chat templates take the roles of all conversations? Checked before a call."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.prompts.select import role_patterns
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import ResolvedModel, find_model, resolve_model
from persyn_kedro.foundations.models.roles import Asked, check_roles
from persyn_kedro.foundations.processes.child import call_in_child
from persyn_kedro.foundations.prompts.conversation import Conversation, Message, with_system
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.references import models_named
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.student import StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers

# A setting that names a model, the model, and how a system message meets a row's.
Reader = tuple[str, str, tuple[Any, Any]]


def check_templates(
    tables: Iterable[pads.Dataset],
    readers: Iterable[Reader],
    models: Models,
    resolved: Collection[str],
) -> None:
    """Render each pattern of roles among the conversations once for each model that will read it.

    Args:
        tables: of prompts; without conversations in them, no model is looked at.
        readers: ``conversation_readers``.
        models: by name; a reader of another one is passed over.
        resolved: the models that are going to be used, which are fetched; of others, only those on
            this disk are checked.

    Raises:
        PersynError: names the first prompt, model and roles that do not go together.
    """
    patterns: dict[tuple[str, ...], str] = {}
    for table in tables:
        patterns |= role_patterns(table)
    asked: dict[str, list[tuple[dict[str, tuple[Message, ...]], str]]] = {}
    for user, name, system in readers if patterns else ():
        model = models.root.get(name)
        if model is not None and not model.endpoint:  # whose template is unknown
            messages = {
                prompt_id: with_system(_example(roles), *system)
                for roles, prompt_id in patterns.items()
            }
            asked.setdefault(name, []).append((messages, user))
    here = {name: _here(name, models.root[name], name in resolved) for name in asked}
    _check([Asked(found, *each) for name, found in here.items() if found for each in asked[name]])
    for name, found in here.items():
        if found is None and name in resolved:  # each is seen before the next is fetched
            fetched = resolve_model(name, models.root[name])
            _check([Asked(fetched, *each) for each in asked[name]])


def _here(name: str, settings: ModelSettings, used: bool) -> ResolvedModel | None:
    """Return a model that is on this disk; of one that is used, fetch what is missing yet."""
    try:
        found = find_model(name, settings)
    except PersynError:
        if used:
            raise
        return None
    return resolve_model(name, settings) if used and found is not None else found


def _check(asked: list[Asked]) -> None:
    if asked:
        call_in_child(check_roles, asked, label="chat templates")


def conversation_readers(
    *,
    student: StudentSettings | None = None,
    label: LabelSettings | None = None,
    train_router: TrainRouterSettings | None = None,
    teachers: Teachers | None = None,
) -> Iterator[Reader]:
    """Yield the models that these settings have read conversations."""
    if student is not None:
        yield "student.model", student.model, (student.system, "row_first")
    for key, way in label.ways_by_key.items() if label is not None else ():
        if way.kind == "reward_model":  # a judge reads a transcript
            yield f"{key}.model", str(way.model), (None, "row_first")
    embedding = getattr(train_router, "embedding", None)
    for key, name in models_named(train_router).items():
        if key == "embedding.model" and embedding is not None and not embedding.template:
            continue  # it reads a transcript
        yield f"train_router.{key}", name, (None, "row_first")
    for name, teacher in teachers.root.items() if teachers else ():
        yield f"teachers.{name}.model", teacher.model, (teacher.system, teacher.row_system)


def _example(roles: tuple[str, ...]) -> Conversation:
    return Conversation(tuple(Message(role, f"Text {n}") for n, role in enumerate(roles)))
