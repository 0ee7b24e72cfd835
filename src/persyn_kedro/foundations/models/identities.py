"""The identity of a model or a prompt source, found without fetching it."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from persyn_kedro.foundations.extras import need
from persyn_kedro.foundations.models.hub import hub_commit
from persyn_kedro.foundations.models.own_templates import date_in_effect
from persyn_kedro.foundations.models.resolve import identify_weights
from persyn_kedro.foundations.settings.cleaning import AgainstSettings
from persyn_kedro.foundations.settings.experiments import BenchmarkSettings
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.prepare import PromptSource
from persyn_kedro.foundations.storage.prompt_files import files_content

_SOURCE = set("zoo hub revision local gguf random random_seed".split())
_TEMPLATE = {"template_date", "template_arguments"}


def model_identity(name: str, settings: ModelSettings) -> dict[str, Any]:
    """Return ``weights_id`` and the settings that change the model's answers.

    The template's date is included if the template reads a date, its arguments if there are any.

    Raises:
        PersynError: the model does not exist.
    """
    rest = {k: v for k, v in lasting(settings).items() if k not in _SOURCE | _TEMPLATE}
    weights_id = identify_weights(name, settings)
    template = {
        "template_date": date_in_effect(settings, weights_id),
        "template_arguments": settings.template_arguments,
    }
    told = {name: value for name, value in template.items() if value}
    if settings.endpoint:  # a former setting, so that earlier results stay valid
        rest["endpoint"]["send_seed"] = True
    return {"weights_id": weights_id, **rest, **told}


def harness_identity(settings: BenchmarkSettings) -> dict[str, str]:
    """Return the harness's version and the content of the user's own task files."""
    try:
        found = {"lm-eval": version("lm-eval")}
    except PackageNotFoundError:  # refused before use
        found = {}
    root = Path(settings.include_path) if settings.include_path else None
    for path in sorted(root.rglob("*")) if root and root.is_dir() else ():
        if path.is_file() and "__pycache__" not in path.parts:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[str(path.relative_to(root))] = digest  # type: ignore[arg-type]
    return found


def against_identity(against: AgainstSettings) -> Any:
    """Return the identity of what a test set is read from.

    That is the file's or hub dataset's as ``source_identity`` has it, or the harness's.
    """
    if against.benchmark:
        tasks, own = [against.benchmark], against.include_path
        return harness_identity(BenchmarkSettings(tasks=tasks, include_path=own))
    hub: dict[str, Any] = (
        {"hub": against.hub, "hub_revision": against.hub_revision} if against.hub else {}
    )
    return source_identity(PromptSource(file=against.file, **hub))


def source_identity(source: PromptSource) -> str | None:
    """Return the identity of what prompts are read from.

    That is the files' SHA-256, a hub dataset's commit, or the version of the task generator.
    """
    if source.file is not None:
        digest = files_content(source.file)
        return digest and f"file:{digest}"
    if source.hub is not None:
        return f"hub:{hub_commit(source.hub, source.hub_revision, 'dataset')}"
    need("A task of reasoning-gym", "answers")
    return f"reasoning-gym:{version('reasoning-gym')}"
