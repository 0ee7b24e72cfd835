"""Do the models' chat templates take the roles of all conversations? Checked before a call."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.prompts.select import role_patterns
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import find_model, resolve_model
from persyn_kedro.foundations.models.roles import Asked, check_roles
from persyn_kedro.foundations.processes.child import call_in_child
from persyn_kedro.foundations.prompts.conversation import Conversation, Message, with_system
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Models
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
    here: list[Asked] = []
    to_fetch: dict[str, list[tuple[dict[str, tuple[Message, ...]], str]]] = {}
    for user, name, system in readers if patterns else ():
        model = models.root.get(name)
        if model is None or model.endpoint:
            continue  # its template is unknown
        messages = {
            prompt_id: with_system(_example(roles), *system)
            for roles, prompt_id in patterns.items()
        }
        try:
            found = find_model(name, model)
        except PersynError:
            if name in resolved:
                raise
            continue
        if found is None and name in resolved:
            to_fetch.setdefault(name, []).append((messages, user))
        elif found is not None:  # of one to be used, a file may be missing yet
            found = resolve_model(name, model) if name in resolved else found
            here.append(Asked(found, messages, user))
    _check(here)
    for name, readings in to_fetch.items():  # each is seen before the next is fetched
        fetched = resolve_model(name, models.root[name])
        _check([Asked(fetched, *reading) for reading in readings])


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
