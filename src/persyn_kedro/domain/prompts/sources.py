"""Where prompts come from: a JSONL or Parquet file, a hub data set, or reasoning-gym tasks."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import is_unicode
from persyn_kedro.foundations.models.hub import hub_commit
from persyn_kedro.foundations.settings.steps import PromptSource, TaskSettings
from persyn_kedro.foundations.storage.paths import Place, is_there, one_sentence_of, place

Row = dict[str, Any]


def read_rows(source: PromptSource, seed: int) -> Iterator[Row]:
    """Yield rows with ``prompt``, ``reference``, ``source`` and ``metadata``.

    A reference that is missing, null, NaN or blank is None.

    Raises:
        PersynError: the source is missing, empty or cannot be read, a row has no prompt, or no row
            has the reference column that was asked for; the sentence names file and row.
    """
    if source.tasks:
        for task in source.tasks:
            yield from _task_rows(task, seed, source.prompt_suffix)
        return
    name, records = _records(source)
    columns: dict[str, None] = {}
    for number, record in enumerate(islice(records, source.limit), start=1):
        columns |= dict.fromkeys(record)
        yield _row(record, name, number, source)
    if not columns:
        raise PersynError(f"{name} holds no prompts.")
    wanted = source.reference_column
    if "reference_column" in source.model_fields_set and wanted not in columns:
        raise PersynError(f"{name} has no column {wanted!r} (its columns: {_names(columns)}).")


def _records(source: PromptSource) -> tuple[str, Iterator[Row]]:
    if source.hub:
        return source.hub, _hub_records(source)
    path = place(str(source.file))
    if not is_there(path):
        raise PersynError(f"The prompt file {path} does not exist.")
    if path.suffix == ".parquet":
        return path.name, _told(path, _parquet_records(path))
    if path.suffix in (".jsonl", ".json"):
        return path.name, _told(path, _jsonl_records(path))
    raise PersynError(f"The prompt file {path} is neither .jsonl nor .parquet.")


def _told(path: Place, records: Iterator[Row]) -> Iterator[Row]:
    with one_sentence_of(path):
        yield from records


def _jsonl_records(path: Place) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as lines:  # with or without a byte order mark
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    record = json.loads(line)
                    if not isinstance(record, dict):
                        raise PersynError(f"Line {number} of {path} is not a JSON object.")
                    yield record
        except UnicodeDecodeError as error:
            raise PersynError(f"{path} is not UTF-8.") from error
        except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
            why = getattr(error, "msg", None) or str(error)
            raise PersynError(f"Line {number} of {path} is not JSON: {why}.") from error


def _parquet_records(path: Place) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            for batch in pq.ParquetFile(file).iter_batches():
                yield from batch.to_pylist()
    except UnicodeDecodeError as error:
        raise PersynError(f"{path} is not UTF-8.") from error
    except (pa.ArrowException, OSError) as error:
        raise PersynError(f"{path} is not a Parquet file, or is damaged: {error}.") from error


def _hub_records(source: PromptSource) -> Iterator[Row]:
    from datasets import load_dataset

    try:
        yield from load_dataset(
            source.hub,
            source.hub_config,
            split=source.hub_split,
            revision=hub_commit(str(source.hub), source.hub_revision, "dataset"),
            streaming=True,
        )
    except (OSError, ValueError) as error:
        raise PersynError(f"The hub data set {source.hub} cannot be read: {error}") from error


def _row(record: Row, name: str, number: int, source: PromptSource) -> Row:
    prompt = record.get(source.prompt_column)
    if not isinstance(prompt, str):
        raise PersynError(
            f"Row {number} of {name} has no text in column {source.prompt_column!r} (its columns: "
            f"{_names(record)})."
        )
    if not prompt.strip():  # asked before the suffix, which is text always
        raise PersynError(f"Prompt {number} of {name} is empty.")
    if not is_unicode(prompt):
        raise PersynError(f"Row {number} of {name} holds half a character (a lone surrogate).")
    reference = _reference(record.get(source.reference_column))
    if reference is not None and not is_unicode(reference):
        raise PersynError(f"The reference of row {number} of {name} holds half a character.")
    return {
        "prompt": prompt + source.prompt_suffix,
        "reference": reference,
        "source": name,
        "metadata": None,
    }


def _reference(value: Any) -> str | None:
    if value is None or value != value:  # NaN: a Parquet column of floats has no other null
        return None
    text = str(value)
    return text if text.strip() else None


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(str, columns)) or "none"


def _task_rows(task: TaskSettings, seed: int, suffix: str) -> Iterator[Row]:
    import reasoning_gym

    try:
        entries = reasoning_gym.create_dataset(task.name, size=task.size, seed=seed, **task.config)
    except (ValueError, TypeError, AssertionError) as error:
        raise PersynError(
            f"The reasoning-gym task {task.name!r} cannot be made: {error}"
        ) from error
    for entry in entries:
        yield {
            "prompt": entry["question"] + suffix,
            "reference": None if entry["answer"] is None else str(entry["answer"]),
            "source": task.name,
            "metadata": json.dumps(entry, default=str, sort_keys=True),
        }
