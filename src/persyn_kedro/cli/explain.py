"""Explain a prompt from the catalog: find its router, the versions and the prompt."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from kedro.pipeline import Pipeline

from persyn_kedro.domain.prompts import find_prompt, prompt_of_text, some_ids
from persyn_kedro.domain.routers import Explanation, RouterTables, explain
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs.belonging import pin_versions_behind
from persyn_kedro.runs.preflight import check_inputs, check_load_versions


@dataclass(frozen=True)
class Explained:
    """An explanation, the versions of the datasets behind it, and notes."""

    explanation: Explanation
    versions: dict[str, str]
    notes: list[str]


def explain_prompt(
    catalog: Any,
    prompt_id: str | None = None,
    text: str | None = None,
    neighbours: int | None = None,
    load_versions: Mapping[str, str] | None = None,
    suffix: str = "",
) -> Explained:
    """Explain a prompt, given by a prefix of its id or by its text, and pin the versions.

    Args:
        neighbours: as ``count`` of ``domain.routers.explanation.explain``.
        load_versions: as in ``pin_router``.
        suffix: the end of every prompt of the source.

    Raises:
        PersynError: no such prompt, router or version.
    """
    check_inputs(register_pipelines()["route"], catalog)
    versions, notes = pin_router(load_versions or {}, catalog)
    loaded = {
        field.name: catalog.load(field.name)
        for field in fields(RouterTables)
        if field.name != "assignments" or field.name in versions
    }
    tables = RouterTables(**{"assignments": None, **loaded})
    if (prompt_id is None) == (text is None):
        raise PersynError(
            "Which prompt? Give a prompt_id or its prefix (known: "
            f"{some_ids(tables.prompts)}, …), or --text."
        )
    if text is None:
        prompt = find_prompt(tables.prompts, str(prompt_id))
    else:
        prompt = prompt_of_text(tables.prompts, text)
        if not text.endswith(suffix):
            notes.append(f'The router knows prompts that end in "{suffix}"; this one does not.')
    return Explained(explain(prompt, tables, neighbours), versions, notes)


def pin_router(chosen: Mapping[str, str], catalog: Any) -> tuple[dict[str, str], list[str]]:
    """Pin a router, the assignments that it made, if any, and everything behind them.

    Args:
        chosen: a version of ``assignments`` or of ``router``; if empty, the newest assignments, or
            without any the newest router.

    Returns:
        The pinned versions, without ``assignments`` if the router has made none, and notes.

    Raises:
        PersynError: another dataset is chosen, or the origin of a version is unknown.
    """
    if not chosen.keys() <= {"assignments", "router"} or len(chosen) > 1:
        raise PersynError("--load-versions takes one version here, of assignments or of router.")
    newest = catalog.get("router").newest()
    for name, version in chosen.items():
        catalog.get(name).pin(version)
    check_load_versions(dict(chosen), Pipeline([]), catalog)
    has_assignments = "router" not in chosen and catalog.get("assignments").newest() is not None
    versions = pin_versions_behind("assignments" if has_assignments else "router", catalog)
    router = catalog.get("router")
    if chosen or router.record(newest)["content"] == router.record(versions["router"])["content"]:
        return versions, []
    return versions, [
        f"The newest router ({newest}) has made no assignments yet; this one made the newest "
        "assignments. Run `kedro run --pipelines=route`, or use the newest router with "
        f"--load-versions=router:{newest}."
    ]
