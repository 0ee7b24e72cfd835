"""Explain a prompt from the catalog: find its router, the versions and the prompt."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline

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
) -> Explained:
    """Explain a prompt, given by a prefix of its id or itself, and pin the versions.

    Args:
        neighbours: as ``count`` of ``domain.routers.explanation.explain``.
        load_versions: as in ``pin_router``.
        suffixes: the ends of the prompts of the sources.

    Raises:
        PersynError: no such prompt, router or version.
    """
    check_inputs(register_pipelines()["route"], catalog)
    versions, notes = pin_router(load_versions or {}, catalog)
    loaded = {
        field.name: catalog.load(field.name)
        for field in fields(RouterTables)
        if field.name not in ("assignments", "cost_model") or field.name in versions
    }
    tables = RouterTables(**{"assignments": None, **loaded})
    if (prompt_id is None) == (prompt is None):
        raise PersynError(
            "Which prompt? Give a prompt_id or its prefix (known: "
            f"{some_ids(tables.prompts)}, …), --text or --messages."
        )
    if prompt is None:
        row = find_prompt(tables.prompts, str(prompt_id))
    else:
        row = row_of_prompt(tables.prompts, prompt)
        if not messages_of(prompt)[-1].content.endswith(tuple(suffixes)):
            known = " or ".join(f'"{suffix}"' for suffix in suffixes)
            notes.append(f"The router knows prompts that end in {known}; this one does not.")
    focus = focus_of(catalog.load("focus"), row["prompt_id"]) if catalog.exists("focus") else None
    notes += [focus] if focus else []
    return Explained(explain(row, tables, neighbours), versions, notes)


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
