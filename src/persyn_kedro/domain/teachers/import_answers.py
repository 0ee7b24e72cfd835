"""Import answers that a user already has into the response store, under their teachers' keys."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.prompts.messages import asked_prompt, read_messages
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import is_unicode
from persyn_kedro.foundations.prompts.conversation import prompt_id_of
from persyn_kedro.foundations.settings.teachers import MAX_SAMPLES
from persyn_kedro.foundations.storage.paths import Place, is_there, one_sentence_of

COLUMNS = ("prompt", "teacher", "response")
FINISHES = ("stop", "length")
TOKENS = ("prompt_tokens", "completion_tokens")

IMPORTED = "import"  # their value in the column `engine`


def uncounted(responses: pa.Table) -> pa.ChunkedArray:
    """Return which responses were imported without their tokens."""
    imported = pc.equal(responses["engine"], IMPORTED)
    return pc.and_(imported, pc.equal(responses["completion_tokens"], 0))


def import_responses(
    path: Place, recipes: Sequence[Recipe], store: ResponseStore
) -> dict[str, int]:
    """Store a JSONL file's answers under their teachers' keys; return the count per teacher.

    Each line has ``prompt`` (as sent, with ``prepare.source.prompt_suffix``) or, of a conversation,
    ``messages`` (without a teacher's system message), ``teacher``, ``response`` and optionally
    ``finish_reason`` ("stop", the default, or "length"), ``sample_index``, which of the
    teacher's answers to the prompt it is (0, the default, or more), and ``prompt_tokens`` with
    ``completion_tokens``, as the teacher counted them; what else it has, such as ``scores``, is
    not read. Answers already in the store are not replaced. Nothing is stored unless the whole
    file is valid.

    Raises:
        PersynError: a line is invalid, or contradicts another; the message names it.
    """
    by_name = {recipe.teacher: recipe for recipe in recipes}
    rows: dict[str, dict[str, Any]] = {}
    owners: dict[str, Recipe] = {}
    for number, line in lines_of(path):
        recipe, row = _row(line, f"Line {number} of {path}", by_name)
        key = row["response_key"]
        if key in rows and rows[key]["response"] != row["response"]:
            raise PersynError(
                f"Line {number} of {path} has a second answer of teacher {recipe.teacher!r} to the "
                "same prompt; keep only one, or give each a sample_index."
            )
        rows[key], owners[key] = row, recipe
    counts = dict.fromkeys(by_name, 0)
    for recipe in {recipe.shelf: recipe for recipe in owners.values()}.values():
        counts[recipe.teacher] += _store(recipe, rows, owners, store)
    if any(counts.values()):
        store.note_import(counts)
    return counts


def _store(
    recipe: Recipe, rows: dict[str, dict[str, Any]], owners: dict[str, Recipe], store: ResponseStore
) -> int:
    known = store.read(recipe.shelf, ["response_key", "error"]).to_pylist()
    good = {row["response_key"] for row in known if row["error"] is None}
    new = [r for k, r in rows.items() if owners[k].shelf == recipe.shelf and k not in good]
    store.describe(recipe.shelf, recipe.identity)
    store.append(recipe.shelf, new)
    return len(new)


def lines_of(path: Place) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each line of a JSONL file that is not blank.

    Raises:
        PersynError: there is no such file, or a line is not JSON.
    """
    if not is_there(path):
        raise PersynError(f"The file {path} does not exist.")
    # utf-8-sig: with or without a byte order mark
    with one_sentence_of(path), path.open(encoding="utf-8-sig") as lines:
        number = 0
        try:
            for number, text in enumerate(lines, start=1):
                if text.strip():
                    yield number, json.loads(text)
        except UnicodeDecodeError as error:
            raise PersynError(f"{path} is not UTF-8; convert it to UTF-8.") from error
        except (ValueError, RecursionError) as error:  # ValueError: a number with 5,000 digits
            why = getattr(error, "msg", None) or str(error)
            raise PersynError(f"Line {number} of {path} is not JSON: {why}.") from error


def _row(line: Any, where: str, recipes: Mapping[str, Recipe]) -> tuple[Recipe, dict[str, Any]]:
    if not isinstance(line, dict):
        raise PersynError(f"{where} is not a JSON object.")
    talks = line.get("prompt") is None and line.get("messages") is not None
    for column in COLUMNS[talks:]:
        if not isinstance(line.get(column), str) or not line[column].strip():
            raise PersynError(f"{where} has no text in {column!r}; add it, or remove the line.")
        if not is_unicode(line[column]):
            raise PersynError(f"{where} has invalid Unicode (a lone surrogate) in {column!r}.")
    if line["teacher"] not in recipes:
        known = ", ".join(recipes)
        raise PersynError(f"{where} has unknown teacher {line['teacher']!r}; available: {known}.")
    finish = line.get("finish_reason", "stop")
    if finish not in FINISHES:
        raise PersynError(f"{where} has finish_reason {finish!r}; use 'stop' or 'length'.")
    sample = line.get("sample_index", 0)
    if type(sample) is not int or not 0 <= sample < MAX_SAMPLES:
        raise PersynError(
            f"{where} has sample_index {sample!r}; use a whole number from 0 to {MAX_SAMPLES - 1}."
        )
    tokens = _tokens(line, where)
    messages = read_messages(line["messages"], where) if talks else None
    prompt = asked_prompt(messages, where) if messages else line["prompt"]
    recipe, prompt_id = recipes[line["teacher"]], prompt_id_of(prompt)
    return recipe, {
        "response_key": recipe.response_key(prompt_id, sample),
        "weights_id": recipe.weights_id,
        "recipe_id": recipe.recipe_id,
        "prompt_id": prompt_id,
        "sample_index": sample,
        "response": line["response"],
        "finish_reason": finish,
        **dict(zip(TOKENS, tokens, strict=True)),
        "cached_prompt_tokens": None,
        "error": None,
        "engine": IMPORTED,
    }


def _tokens(line: Mapping[str, Any], where: str) -> tuple[int, int]:
    """Return a line's tokens; none of both if it does not say."""
    if not any(name in line for name in TOKENS):
        return 0, 0
    prompt, completion = (line.get(name) for name in TOKENS)
    if type(prompt) is not int or type(completion) is not int or min(prompt, completion) < 1:
        raise PersynError(
            f"{where} has prompt_tokens {prompt!r} and completion_tokens {completion!r}; give both "
            "as whole numbers from 1, or neither."
        )
    return prompt, completion
