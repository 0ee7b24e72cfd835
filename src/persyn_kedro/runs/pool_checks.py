"""Do the models exist that the settings name? Checked together, before any step runs."""

import json
from collections.abc import Container, Iterable
from pathlib import Path

from persyn_kedro.domain.learnability import signal_of
from persyn_kedro.domain.quality import check_imported, check_judge, quality_function
from persyn_kedro.domain.routers import router_class
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import check_source, local_directory, read_config
from persyn_kedro.foundations.settings import (
    GROUPS,
    LabelSettings,
    Models,
    ModelSettings,
    Settings,
    Teachers,
    check_sampling,
    is_own,
    models_named,
    own_code_named,
)
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs.records import groups_of


def check_pool(settings: Settings, groups: Iterable[str] = (), asked: bool = True) -> None:
    """Refuse references to unknown models, and models that clearly do not exist.

    Nothing is downloaded: a hub model is only looked up when it is first used.

    Args:
        groups: those that a run reads, besides those of the main steps, which are always checked.
        asked: whether teachers will be called, so that servers' API keys must be set.

    Raises:
        PersynError: names the first such setting.
    """
    models, label = settings.models, settings.label
    # Of compare_routers the main steps read the number of folds, none of its routers.
    read = groups_of(register_pipelines()["__default__"].nodes) - {"compare_routers"} | {*groups}
    users = {
        f"{group}.{key}": model
        for group in GROUPS
        if group in read
        for key, model in models_named(getattr(settings, group)).items()
    }
    ways = settings.ways_by_key
    judges = {f"{key}.model" for key, way in ways.items() if way.kind == "judge"}
    for user, model in users.items():
        if model not in models.root:
            known = ", ".join(models.root)
            raise PersynError(f"Parameter {user}: unknown model {model!r}; available: {known}.")
        if models.root[model].endpoint and not (user in judges or user.startswith("teachers.")):
            raise PersynError(
                f"Parameter {user}: model {model!r} is an endpoint; only teachers and judges can "
                "be endpoints."
            )
    for model in dict.fromkeys(users.values()):
        check_source(model, models.root[model], asked)
    check_sampling(models, settings.teachers)
    _check_twins(models, settings.teachers)
    check_own_code(label, own_code_named(settings.train_router))
    _check_tasks(settings, read)
    for key, way in ways.items():
        if key.partition(".")[0] not in read:
            continue
        if is_own(way.kind):
            quality_function(way.kind)
        elif way.file is not None:
            check_imported(way.file)
        elif way.kind == "judge":
            check_judge(key, way, models, settings.engine)
        elif way.model is not None:
            _check_reward_model(f"{key}.model", way.model, models.root[way.model])


def check_own_code(label: LabelSettings, routers: Iterable[str]) -> None:
    """Refuse the user's own code if it is missing or not of the right kind.

    Raises:
        PersynError: names the first that is.
    """
    signal_of(label.learnability)
    for way in filter(is_own, (way.kind for way in label.ways)):
        quality_function(way)
    for kind in filter(is_own, routers):
        router_class(kind)


def _check_tasks(settings: Settings, read: Container[str]) -> None:
    """Refuse a router that reads a column which no source of prompts keeps."""
    kept = ["source", *settings.prepare.kept]
    routers = {"train_router": [settings.train_router]}
    if "compare_routers" in read:
        routers["compare_routers"] = settings.compare_routers.all_routers
    pairs = [
        (group, column) for group, own in routers.items() for r in own for column in r.task_columns
    ]
    for group, column in pairs:
        if column not in kept:
            raise PersynError(
                f"Parameter {group}: no source of prompts keeps the task_column {column!r}; "
                f"add it to prepare.source.keep, or use one of {', '.join(dict.fromkeys(kept))}."
            )


def _check_twins(models: Models, teachers: Teachers) -> None:
    """Refuse duplicate teachers: the router could not tell them apart."""
    seen: dict[tuple, str] = {}
    for name, teacher in teachers.root.items():
        model = models.root[teacher.model]
        sampling = tuple(teacher.sampling.identity.items())
        asked = (teacher.system, teacher.row_system, sampling)
        what = (_place(model), *_template(model), *asked)
        if what in seen:
            raise PersynError(
                f"Teachers {seen[what]!r} and {name!r} are the same (model, template, system "
                "prompt and sampling): leave one out."
            )
        seen[what] = name


def _place(model: ModelSettings) -> tuple:
    """Return where a model is, in a normal form."""
    if model.endpoint:
        return (model.endpoint.url.rstrip("/"), model.endpoint.model, model.revision)
    path = model.local or model.gguf
    return (str(Path(path).expanduser().resolve()),) if path else model.source


def _template(model: ModelSettings) -> tuple:
    """Return a model's settings of its chat template, and what is added to its requests."""
    told = (model.template_arguments, model.extra_body, model.vllm_identity)
    texts = [json.dumps(d, sort_keys=True) for d in told]
    return (model.chat_template, model.template_date, *texts)


def _check_reward_model(key: str, name: str, settings: ModelSettings) -> None:
    """Refuse a model that does not give a single score, before a teacher is paid.

    A hub model's files are not here yet: it is checked when it is loaded.
    """
    if settings.hub is not None:
        return
    if settings.local is None:
        raise PersynError(f"Parameter {key}: {name!r} is not a hub or local reward model.")
    directory = local_directory(settings)
    config = read_config(directory)
    kinds = config.get("architectures") or []
    if not any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
        raise PersynError(
            f"Parameter {key}: {name!r} is not a reward model ({directory} has no "
            "...ForSequenceClassification among its architectures)."
        )
    # Two is Transformers' default, which it does not write to the file.
    labels = config.get("num_labels") or len(config.get("id2label") or "ab")
    if labels != 1:
        raise PersynError(
            f"Parameter {key}: {name!r} in {directory} gives {labels} scores; a "
            "reward model gives one."
        )
