"""Read prompts from files, a hub dataset, or reasoning-gym tasks."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any

from persyn_kedro.domain.prompts.arithmetic import is_right
from persyn_kedro.domain.prompts.messages import asked_prompt, read_messages
from persyn_kedro.domain.prompts.records import Row, file_records
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import is_unicode
from persyn_kedro.foundations.models.hub import hub_commit
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.base import MAX_SEED
from persyn_kedro.foundations.settings.prepare import PromptSource, TaskSettings
from persyn_kedro.foundations.storage.paths import is_there, place
from persyn_kedro.foundations.storage.prompt_files import PromptFile, kind_of, prompt_files
from persyn_kedro.foundations.tables import code_tests, references, schemas
from persyn_kedro.foundations.tables.messages import columns_of

VERSION = 7  # of records.py too: raise it when the same inputs give another result

SHOWN = 3  # names in a message
ENTRY_POINT = "entry_point"  # the column of the function that a text's ``check`` is called with
CHOOSING = ("prompt_column", "messages_column", "conversations_column")
TAKEN = {*schemas.SFT_DATASET.names, "messages"}  # what the exports call their own columns
Named = tuple[str, int, Row]  # the file's or dataset's name, the row's number in it, the row

logger = logging.getLogger(__name__)


def read_rows(source: PromptSource, seed: int) -> Iterator[Row]:
    """Yield rows with ``prompt``, ``messages``, ``reference``, ``source``, ``metadata``, ``kept``.

    A row with text in the prompt column is plain text, another one a conversation. A reference
    that is missing, null, NaN or blank is None; for a list, see ``references``.

    Raises:
        PersynError: the source is missing, empty or cannot be read, a row has no prompt that can be
            asked, or no row has the requested reference column; the message names file and row.
    """
    if source.tasks:
        for task in source.tasks:
            yield from _task_rows(task, seed, source.prompt_suffix)
        return
    if taken := TAKEN.intersection(source.keep):
        raise PersynError(
            f"{source.key}: keep names {min(taken)!r}, which is a column of the training set; "
            "rename it in the source."
        )
    name, records = _records(source)
    columns: dict[str, None] = {}
    both = 0
    for whose, number, record in islice(records, source.limit):
        columns |= dict.fromkeys(record)
        both += _has_both(record, source)
        yield _row(record, whose, number, source)
    if not columns:
        raise PersynError(f"{name} has no prompts; check `{source.key}`.")
    if both and not source.model_fields_set.intersection(CHOOSING):
        logger.warning(
            "%d of the rows of %s have messages beside their prompt, which alone is read; to read "
            "the messages, set %s.prompt_column to their column", both, name, source.key,
        )  # fmt: skip
    chosen = {"reference_column", "tests_column"} & source.model_fields_set
    asked = [getattr(source, name) for name in sorted(chosen)]
    for wanted in [*filter(None, asked), *source.keep]:
        if _column(wanted, columns) is None:
            raise PersynError(f"{name} has no column {wanted!r} (its columns: {_names(columns)}).")


def _records(source: PromptSource) -> tuple[str, Iterator[Named]]:
    if source.hub:
        hub = source.hub
        rows = enumerate(_hub_records(source), start=1)
        return hub, ((hub, number, record) for number, record in rows)
    path, files = place(str(source.file)), prompt_files(str(source.file))
    known = [file for file in files if kind_of(file.name)]
    if not files and not path.is_dir():
        raise PersynError(f"The prompt file {path} does not exist; check `{source.key}.file`.")
    if not known:
        what = f"The prompt file {path} is not" if is_there(path) else f"{path} has no files in"
        raise PersynError(f"{what} .jsonl, .json, .csv or .parquet (or these with .gz or .zst).")
    if unknown := [file.name for file in files if not kind_of(file.name)]:
        logger.warning(
            "%d of the files in %s were ignored, as their type is unknown: %s",
            len(unknown), path, ", ".join(unknown[:SHOWN]),
        )  # fmt: skip
    return path.name or str(path), _file_records(known, source)


def _file_records(files: Iterable[PromptFile], source: PromptSource) -> Iterator[Named]:
    asked = (
        source.prompt_column,
        source.messages_column,
        source.conversations_column,
        source.reference_column,
        source.tests_column or "",
        ENTRY_POINT,
        *source.keep,
    )
    wanted = dict.fromkeys(part for name in asked for part in (name, name.partition(".")[0]))
    for path, name in files:
        kind, compression = kind_of(name) or ("", None)
        rows = file_records(path, kind, compression, list(wanted))
        for number, record in enumerate(rows, start=1):
            yield name, number, record


def _hub_records(source: PromptSource) -> Iterator[Row]:
    commit = hub_commit(str(source.hub), source.hub_revision, "dataset")
    rows = run_in_child(_hub_rows, source, commit, label=f"the hub dataset {source.hub}")
    with closing(rows):
        yield from rows


def _hub_rows(source: PromptSource, commit: str) -> Iterator[Row]:
    """Yield the rows; this imports torch, as streamed data sets do: run it in a child process."""
    from datasets import load_dataset

    try:
        rows = load_dataset(
            source.hub,
            source.hub_config,
            split=source.hub_split,
            revision=commit,
            streaming=True,
        )
        yield from rows.decode(False) if rows.features else rows  # no image is read
    except (OSError, ValueError) as error:
        raise PersynError(f"The hub dataset {source.hub} cannot be read: {error}") from error


def _row(record: Row, name: str, number: int, source: PromptSource) -> Row:
    text, answer = _value(record, source.prompt_column), None
    of_messages = (source.messages_column, source.conversations_column)
    if text is None or (isinstance(text, list) and source.prompt_column in of_messages):
        prompt, answer = _conversation(record, f"Row {number} of {name}", source)
    else:
        prompt = _plain(text, record, name, number, source.prompt_column) + source.prompt_suffix
    try:
        known = _value(record, source.reference_column)
        right = references.reference_texts(known) or references.reference_texts(answer)
    except ValueError as error:
        raise PersynError(f"The reference of row {number} of {name} {error}.") from error
    if not all(map(is_unicode, right)):
        raise PersynError(
            f"The reference of row {number} of {name} has invalid Unicode (a lone surrogate)."
        )
    tests = _tests(record, f"row {number} of {name}", source)
    told = {
        "source": name,
        **references.stored(right, tests),
        "kept": _kept(record, number, name, source),
    }
    return {**columns_of(prompt), **told}


def _tests(record: Row, where: str, source: PromptSource) -> list[code_tests.Test]:
    """Return the row's tests of code."""
    if source.tests_column is None:
        return []
    value, function = (_value(record, column) for column in (source.tests_column, ENTRY_POINT))
    try:
        tests = code_tests.read_tests(value, function if isinstance(function, str) else None)
        text = json.dumps(tests, ensure_ascii=False)
    except (ValueError, TypeError) as error:
        raise PersynError(
            f"The tests of {where} {error}. If they are not tests of code, set "
            f"{source.key}.tests_column to null."
        ) from error
    if not is_unicode(text):
        raise PersynError(f"The tests of {where} have invalid Unicode (a lone surrogate).")
    return tests


def _has_both(record: Row, source: PromptSource) -> bool:
    """Return whether a row's text is read, although it has messages."""
    if not isinstance(_value(record, source.prompt_column), str):
        return False
    columns = (source.messages_column, source.conversations_column)
    found = [_value(record, column) for column in columns]
    return any(isinstance(value, list) and value for value in found)


def _conversation(record: Row, where: str, source: PromptSource) -> tuple[Prompt, str | None]:
    """Return a row's conversation, and the assistant's answer that was cut off behind it."""
    columns = (source.messages_column, source.conversations_column)
    found = [value for column in columns if (value := _value(record, column)) is not None]
    if not found:
        raise _no_text(record, where, source.prompt_column, "")
    full = next((value for value in found if value != []), found[0])
    messages, answer = read_messages(full, where), None
    if messages[-1].role == "assistant":
        if source.last_answer == "refuse":
            raise PersynError(
                f"{where} ends with the assistant's message: set {source.key}.last_answer to "
                "reference to check answers against it, or remove it."
            )
        answer = messages.pop().content
    if answer is not None and all(message.role != "user" for message in messages):
        raise PersynError(f"{where} has no user message before the assistant's; remove it.")
    last = messages.pop()
    messages.append(last._replace(content=last.content + source.prompt_suffix))
    return asked_prompt(messages, where), answer


def _plain(prompt: Any, record: Row, name: str, number: int, column: str) -> str:
    where = f"Row {number} of {name}"
    if not isinstance(prompt, str):
        kind = ", but a list; if these are messages, set messages_column to it"
        kind = kind if isinstance(prompt, list) else ""
        kind = ", but an object" if isinstance(prompt, Mapping) else kind
        raise _no_text(record, where, column, kind)
    if not prompt.strip():  # checked before the suffix is added
        raise PersynError(f"Prompt {number} of {name} is empty; remove it.")
    if not is_unicode(prompt):
        raise PersynError(f"{where} has invalid Unicode (a lone surrogate).")
    return prompt


def _kept(record: Row, number: int, name: str, source: PromptSource) -> str | None:
    """Return the columns to keep as a JSON object, or None."""
    if not source.keep:
        return None
    values = {column: _value(record, column) for column in source.keep}
    text = json.dumps(values, ensure_ascii=False, default=str)
    # NaN and Infinity, which only Python reads, become null.
    text = json.dumps(json.loads(text, parse_constant=lambda _: None), ensure_ascii=False)
    if not is_unicode(text):
        raise PersynError(
            f"What row {number} of {name} keeps has invalid Unicode (a lone surrogate)."
        )
    return text


def _no_text(record: Row, where: str, column: str, kind: str) -> PersynError:
    return PersynError(
        f"{where} has no text in column {column!r}{kind} (its columns: {_names(record)})."
    )


def _column(name: str, columns: Iterable[str]) -> str | None:
    """Return the column that a name refers to: itself, or the object before its first dot."""
    return next((column for column in (name, name.partition(".")[0]) if column in columns), None)


def _value(record: Mapping[str, Any], name: str) -> Any:
    """Return a column's value; ``a.b`` is the key b of the object in column a."""
    if name in record or "." not in name:
        return record.get(name)
    first, _, rest = name.partition(".")
    inner = record.get(first)
    return _value(inner, rest) if isinstance(inner, Mapping) else None


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(str, columns)) or "none"


def _task_rows(task: TaskSettings, seed: int, suffix: str) -> Iterator[Row]:
    import reasoning_gym

    first = seed % (MAX_SEED + 1 - task.size)  # item i has seed first + i, which numpy must accept
    try:
        entries = reasoning_gym.create_dataset(task.name, size=task.size, seed=first, **task.config)
    except (ValueError, TypeError, AssertionError) as error:
        raise PersynError(
            f"The reasoning-gym task {task.name!r} cannot be created: {error}"
        ) from error
    wrong = []
    for entry in entries:
        if task.name == "basic_arithmetic" and not is_right(entry):
            wrong.append(f"{entry['metadata']['expression']} = {entry['answer']}")
            continue
        yield {
            "prompt": entry["question"] + suffix,
            "reference": None if entry["answer"] is None else str(entry["answer"]),
            "source": task.name,
            "metadata": json.dumps(entry, default=str, sort_keys=True),
        }
    if wrong:
        logger.warning(
            "Left out %d of %d prompts of %s: reasoning-gym's answer is wrong, such as %s",
            len(wrong), task.size, task.name, wrong[0],
        )  # fmt: skip
