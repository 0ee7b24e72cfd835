"""What ``kedro push`` would upload: the newest exports, and whether they may be uploaded."""

import os
from pathlib import Path
from typing import Any

from persyn_kedro.domain.export import Upload, check_secrets, uploads
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings import Models
from persyn_kedro.foundations.storage import cache_directory
from persyn_kedro.runs.ancestry import Ancestry, Clash

TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name


def prepare(
    catalog: Any,
    models: Models,
    dataset_repo: str | None,
    student_repo: str | None,
    allow_unknown_licences: bool,
) -> list[Upload]:
    """Return the uploads to the given repositories.

    Raises:
        PersynError: nothing was exported, the exports are of different runs, a licence is unknown,
            or a file contains a key or a path of this machine.
    """
    if not dataset_repo and not student_repo:
        raise PersynError(
            "Nowhere to push to: give --dataset-repo=owner/name or --student-repo=owner/name."
        )
    chosen = {"export_dataset": dataset_repo, "export_student": student_repo}
    facts = _facts(catalog, [name for name, repository in chosen.items() if repository])
    if facts["unknown"] and not allow_unknown_licences:
        raise PersynError(
            f"Unknown licences: {', '.join(facts['unknown'])}. Set them and run "
            "`kedro run --pipelines=export`, or push with --allow-unknown-licences."
        )
    places = [
        (repository, catalog.load(name)) if repository else None
        for name, repository in chosen.items()
    ]
    found = list(uploads(*places))
    for upload in found:
        check_secrets(upload, _secrets(models))
    return found


def token() -> str:
    """Return the hub's token, from the environment or credentials.yml, never from a login.

    Raises:
        PersynError: it is not set.
    """
    if not os.environ.get(TOKEN):
        raise PersynError(
            f"A push needs a token: set {TOKEN} in the environment, or as `endpoints: {{{TOKEN}: "
            "…}` in conf/local/credentials.yml."
        )
    return os.environ[TOKEN]


def _facts(catalog: Any, names: list[str]) -> dict[str, Any]:
    """Return the facts that all of these exports were made from."""
    ancestry = Ancestry(catalog)
    newest = ancestry.loaded(names)
    for name in names:
        if name not in newest:
            raise PersynError(f"No {name} yet: run `kedro run --pipelines=export`.")
    known = all("export_facts" in o.inputs for n in names for o in ancestry.origins(n)[:1])
    behind = ancestry.behind(newest)
    if not known or isinstance(behind, Clash):
        raise PersynError(
            f"{' and '.join(names)} were not made together: run `kedro run --pipelines=export`."
        )
    catalog.get("export_facts").pin(behind["export_facts"])
    return catalog.load("export_facts")


def _secrets(models: Models) -> dict[str, str]:
    """Return what must not be uploaded, by what it is."""
    keys = {name for m in models.root.values() if m.endpoint for name in m.endpoint.variables}
    found = {f"the key {name}": os.environ.get(name, "") for name in [*sorted(keys), TOKEN]}
    paths = {"this project's directory": Path.cwd(), "the cache's directory": cache_directory()}
    return {**found, **{what: str(path.resolve()) for what, path in paths.items()}}
