"""What a step's output depends on, as one comparable record, and how two records differ."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from persyn_kedro.domain.quality import code_checker, exact_scorer, load_rubric
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models import against_identity, harness_identity, source_identity
from persyn_kedro.foundations.secrets import hide_in_urls
from persyn_kedro.foundations.settings import (
    BenchmarkSettings,
    GenerateSettings,
    Models,
    ModelSettings,
    PrepareSettings,
    code_identity,
    files_named,
    hand,
    lasting,
    own_code_named,
    rubrics_named,
    step_of,
    ways_among,
)
from persyn_kedro.foundations.storage import files_content

Record = dict[str, Any]
Identify = Callable[[str, ModelSettings], dict[str, Any]]


def reading(
    function: Callable[..., Any],
    settings: Mapping[str, tuple[str, Any]],
    inputs: Mapping[str, str],
    identify: Identify,
) -> Record:
    """Return everything that a node's result depends on.

    Args:
        function: the node's, marked with ``foundations.settings.marks.step``.
        settings: by argument of the function, the name and value of the group.
        inputs: the content hash of each dataset that is read.
        identify: returns ``foundations.models.identities.model_identity``.

    Raises:
        PersynError: a model, the hub's prompts or the user's own file cannot be found.
    """
    mark = step_of(function)
    values = {argument: value for argument, (_, value) in settings.items()}
    reads, unread = mark.reads_with(values), mark.unread(values)
    handed = hand(values, mark)
    record: Record = {
        "step_version": mark.whole_version,
        "parameters": {},
        "models": {},
        "inputs": {name: inputs[name] for name in sorted(inputs) if name not in unread},
    }
    for argument, (group, value) in settings.items():
        if argument in unread:
            continue
        if isinstance(value, Models):
            named = handed[argument].root
            labels = reads.get(argument, ())  # such as the family, of no effect elsewhere
            record["models"] = {
                name: {**identify(name, model), **{f: getattr(model, f) for f in labels}}
                for name, model in sorted(named.items())
            }
            continue
        fields = reads.get(argument)
        record["parameters"][group] = lasting(value, fields)
        if own := own_code_named(value, fields):
            record.setdefault("own_code", {}).update({k: code_identity(k) for k in own})
        if rubrics := rubrics_named(value, fields):
            identities = {name: load_rubric(name).identity for name in rubrics}
            record.setdefault("rubrics", {}).update(identities)
        if files := files_named(value, fields):
            contents = {name: files_content(name) for name in files}
            record.setdefault("files_read", {}).update(contents)
        if isinstance(value, PrepareSettings) and (fields is None or "source" in fields):
            record["prompts_read"] = _prompts_read(value)
        reads_against = fields is None or "against" in fields
        if isinstance(value, PrepareSettings) and value.against and reads_against:
            record["against_read"] = [against_identity(own) for own in value.against]
        if isinstance(value, BenchmarkSettings) and (fields is None or "tasks" in fields):
            record["harness"] = harness_identity(value)
    if "quality_store" not in unread and checks_answers(function, values.values()):
        record["exact_answer"] = exact_scorer()
        code = [
            code_checker(way).identity for way in ways_among(handed.values()) if way.kind == "code"
        ]
        record.update({"code_tests": code} if code else {})
    return hide_in_urls(record)


def _prompts_read(prepare: PrepareSettings) -> Any:
    """Return the identity of the one source, or those of several by name."""
    if prepare.source is not None:
        return source_identity(prepare.source)
    return {source.name: source_identity(source) for source in prepare.sources}


def checks_answers(function: Callable[..., Any], groups: Iterable[Any]) -> bool:
    """Return whether a node checks answers against references, which needs a quality store."""
    if "quality_store" not in inspect.signature(function).parameters:
        return False
    kept = [group for group in groups if isinstance(group, GenerateSettings)]
    return not any(g.verification == "keep" and not g.judged for g in kept)


def fingerprint(record: Record) -> str:
    """Return the 32 hex digits that identify a reading."""
    return settings_id(record)


def difference(before: Record, now: Record) -> str:
    """Describe the first difference between two readings, settings before inputs."""
    if before.get("step_version") != now["step_version"]:
        return f"step version {before.get('step_version')} is now {now['step_version']}"
    for part in (
        "parameters", "models", "own_code", "rubrics", "files_read", "prompts_read", "against_read",
        "harness",
        "exact_answer", "code_tests",
    ):  # fmt: skip
        found = _first(part, before.get(part), now.get(part))
        if found:
            return found.replace("parameters.", "", 1)
    old, new = before.get("inputs", {}), now["inputs"]
    changed = [name for name in new if old.get(name) != new[name]]
    return f"{' and '.join(changed) or 'an input'} changed"


def _first(key: str, before: Any, now: Any) -> str | None:
    if before == now:
        return None
    old, new = _as_mapping(before), _as_mapping(now)
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return f"{key} was {before!r}, is {now!r}"
    for name in [*new, *old]:
        if name not in old:
            return f"{key}.{name} is new"
        if name not in new:
            return f"{key}.{name} is gone"
        found = _first(f"{key}.{name}", old[name], new[name])
        if found:
            return found
    return f"the order of {key} changed"


def _as_mapping(value: Any) -> Any:
    """Turn a pool's pairs back into a mapping."""
    pairs = isinstance(value, list) and all(isinstance(v, list) and len(v) == 2 for v in value)
    return dict(value) if pairs and value else value
