"""A pool of teachers with its student: settings, validated once, that the other calls take."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from persyn_kedro.domain.stores import QualityStore, ResponseStore, StatisticsStore
from persyn_kedro.domain.teachers import Asking, Recipe, resolve_recipes
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes import import_ahead
from persyn_kedro.foundations.settings import (
    EngineSettings,
    Models,
    StudentSettings,
    Teachers,
    check_sampling,
    read_group,
    thinks_of,
    unused_keys,
    with_engine_s,
)

# What the models' processes import: once, in the process that they are forked from.
AHEAD = (
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "sklearn.neighbors",
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pool:
    """Teachers, their models and the student, with the stores of answers and scores.

    Made by :func:`pool`. The attributes are typed settings, as in `conf/`.
    """

    models: Models
    teachers: Teachers
    student: StudentSettings
    engine: EngineSettings
    seed: int
    stores: Path

    @cached_property
    def recipes(self) -> list[Recipe]:
        """The teachers with their models, which are fetched on first use."""
        return resolve_recipes(self.teachers, self.models)

    @property
    def thinks(self) -> dict[str, Any]:
        """Whether the ``<think>`` text of each teacher is kept."""
        return thinks_of(self.models, self.teachers)

    @property
    def responses(self) -> ResponseStore:
        """The store of responses."""
        return ResponseStore(self.stores / "responses")

    @property
    def calls(self) -> Asking:
        """How a judge is asked; nothing is spent yet."""
        return Asking(self.responses, self.engine, self.seed)

    @property
    def statistics(self) -> StatisticsStore:
        """The store of the student's token statistics."""
        return StatisticsStore(self.stores / "statistics")

    @property
    def quality(self) -> QualityStore:
        """The store of quality."""
        return QualityStore(self.stores / "quality")


def pool(
    models: Mapping[str, Any],
    teachers: Mapping[str, Any],
    student: str | Mapping[str, Any],
    *,
    engine: str | Mapping[str, Any] = "vllm",
    seed: int = 0,
    stores: str | Path = "data/stores",
) -> Pool:
    """Return a pool from settings in the form of ``conf/``.

    Args:
        models: by name, such as ``{"small": {"hub": "Qwen/Qwen2.5-0.5B"}}``.
        teachers: by name, such as ``{"brief": {"model": "small", "system": "Be brief."}}``; their
            order breaks ties.
        student: a model's name, or ``{"model": …, "system": …}``.
        engine: what runs local models: its name, or all its settings.
        seed: of sampled answers and of the router.
        stores: a directory; a Kedro project's ``data/stores`` can be shared.

    Raises:
        PersynError: names the first bad key.
    """
    student = {"model": student} if isinstance(student, str) else student
    engine = {"name": engine} if isinstance(engine, str) else engine
    ran_by, raw = read_group("engine", engine), {"engine": engine, "models": models}
    made = Pool(
        read_group("models", with_engine_s(raw)["models"]),
        read_group("teachers", teachers),
        read_group("student", student),
        ran_by,
        seed,
        Path(stores),
    )
    used = {f"teachers.{name}.model": t.model for name, t in made.teachers.root.items()}
    for user, model in {**used, "student.model": made.student.model}.items():
        if model not in made.models.root:
            raise PersynError(f"{user} is {model!r}, which is not in models.")
    check_sampling(made.models, made.teachers)
    if unused := unused_keys(raw):
        log.info(unused)
    import_ahead(AHEAD)
    return made
