"""Explain a prompt from the catalog: find its router, the versions and the prompt."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow.dataset as pads
from kedro.pipeline import Pipeline

from persyn_kedro.cli.rounds import Round
from persyn_kedro.domain.cleaning import why_dropped
from persyn_kedro.domain.prompts import (
    asked_prompt,
    find_prompt,
    focus_of,
    read_messages,
    row_of_prompt,
    some_ids,
)
from persyn_kedro.domain.routers import Explanation, RouterTables, explain
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.prompts import Prompt, messages_of
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
    prompt: Prompt | None = None,
    neighbours: int | None = None,
    load_versions: Mapping[str, str] | None = None,
    suffixes: Collection[str] = ("",),
    number: int = 1,
) -> Explained:
    """Explain a prompt, given by a prefix of its id or itself, and pin the versions.

    Args:
        neighbours: as ``count`` of ``domain.routers.explanation.explain``.
        load_versions: as in ``pin_router``.
        suffixes: the ends of the prompts of the sources.
        number: of the round whose router decides.

    Raises:
        PersynError: no such prompt, router or version.
    """
    its = Round(number, catalog)
    check_inputs(register_pipelines()["route"], catalog)
    versions, notes = pin_router(load_versions or {}, its)
    loaded = {
        field.name: its.load(field.name, versions)
        for field in fields(RouterTables)
        if field.name not in ("assignments", "cost_model") or its.name(field.name) in versions
    }
    tables = RouterTables(**{"assignments": None, **loaded})
    if (prompt_id is None) == (prompt is None):
        raise PersynError(
            "Which prompt? Give a prompt_id or its prefix (known: "
            f"{some_ids(tables.prompts)}, …), --text or --messages."
        )
    if prompt is None:
        row = _found(str(prompt_id), tables.prompts, catalog)
    else:
        row = row_of_prompt(tables.prompts, prompt)
        if not messages_of(prompt)[-1].content.endswith(tuple(suffixes)):
            known = " or ".join(f'"{suffix}"' for suffix in suffixes)
            notes.append(f"The router knows prompts that end in {known}; this one does not.")
    if catalog.exists(its.name("focus")):
        focus = focus_of(catalog.load(its.name("focus")), row["prompt_id"])
        notes += [focus] if focus else []
    return Explained(explain(row, tables, neighbours), versions, notes)


def _found(prompt_id: str, prompts: pads.Dataset, catalog: Any) -> dict[str, Any]:
    """Return the row of a prompt; of one that cleaning dropped, the error says why."""
    try:
        return find_prompt(prompts, prompt_id)
    except PersynError:
        dropped = catalog.load("dropped_prompts") if catalog.exists("dropped_prompts") else None
        if dropped is not None and (why := why_dropped(dropped, prompt_id)):
            raise PersynError(why) from None
        raise


def read_prompt(text: str | None, messages: str | None) -> Prompt | None:
    """Return the prompt of ``--text`` or ``--messages``, None without either.

    Args:
        messages: a JSON file or JSON. It is a list of messages in OpenAI's or ShareGPT's form, or
            a row that has them in ``messages`` or ``conversations``.

    Raises:
        PersynError: both are given, or the conversation cannot be read or does not end with the
            user's message.
    """
    if messages is None:
        return text
    if text is not None:
        raise PersynError("Give either --text or --messages, not both.")
    path = Path(messages).expanduser()
    in_text = messages.lstrip().startswith(("[", "{"))
    where = "--messages" if in_text else str(path)
    try:
        value = json.loads(messages if in_text else path.read_text("utf-8"))
    except FileNotFoundError:
        raise PersynError(f"The file {path} of --messages does not exist.") from None
    except (OSError, ValueError) as error:
        raise PersynError(f"{where} cannot be read as JSON: {error}.") from error
    if isinstance(value, dict):
        value = value.get("messages", value.get("conversations"))
    return asked_prompt(read_messages(value, where), where)


def pin_router(chosen: Mapping[str, str], its: Round) -> tuple[dict[str, str], list[str]]:
    """Pin a router, the assignments that it made, if any, and everything behind them.

    Args:
        chosen: a version of the round's ``assignments`` or of its ``router``; if empty, the newest
            assignments, or without any the newest router.

    Returns:
        The pinned versions, without ``assignments`` if the router has made none, and notes.

    Raises:
        PersynError: another dataset is chosen, or the origin of a version is unknown.
    """
    catalog, assignments, router = its.catalog, its.name("assignments"), its.name("router")
    if not chosen.keys() <= {assignments, router} or len(chosen) > 1:
        raise PersynError(
            f"--load-versions takes one version here, of {assignments} or of {router}."
        )
    newest = catalog.get(router).newest()
    for name, version in chosen.items():
        catalog.get(name).pin(version)
    check_load_versions(dict(chosen), Pipeline([]), catalog)
    has_assignments = router not in chosen and catalog.get(assignments).newest() is not None
    versions = pin_versions_behind(assignments if has_assignments else router, catalog)
    record = catalog.get(router).record
    if chosen or record(newest)["content"] == record(versions[router])["content"]:
        return versions, []
    return versions, [
        f"The newest router ({newest}) has made no assignments yet; this one made the newest "
        f"assignments. Run `kedro run --pipelines={its.pipeline}`, or use the newest router with "
        f"--load-versions={router}:{newest}."
    ]
