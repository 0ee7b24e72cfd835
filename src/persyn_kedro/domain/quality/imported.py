"""Quality by scores that somebody else has published beside the answers, from a file."""

import logging
import math
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from persyn_kedro.domain.prompts.messages import asked_prompt, read_messages
from persyn_kedro.domain.quality.scorer import Answer, Key, Scorer
from persyn_kedro.domain.teachers.import_answers import lines_of
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.models.rendering import visible_text
from persyn_kedro.foundations.prompts.conversation import prompt_id_of
from persyn_kedro.foundations.settings.raw_values import shown
from persyn_kedro.foundations.storage.paths import is_there, place
from persyn_kedro.foundations.storage.prompt_files import files_content

log = logging.getLogger(__name__)
_Text = tuple[str, str]  # prompt_id, text_id of the response


@dataclass(frozen=True)
class ImportedScores(Scorer):
    """Looks an answer's score up by its prompt and its visible text.

    Attributes:
        file: JSONL as for ``kedro import-responses``, each line with ``scores``, numbers by name.
        score: the name of the one that counts. Higher is better.
    """

    file: str
    score: str

    @property
    def identity(self) -> dict[str, str]:
        """The file's content and the score's name."""
        return {"kind": "imported", "score": self.score, "content": self._content}

    @cached_property
    def _content(self) -> str:
        content = files_content(self.file)
        if content is None:
            raise PersynError(f"The file {self.file} of imported scores does not exist.")
        return content

    @property
    def label(self) -> str:
        return f"looking up {self.score}"

    def scores(self, answers: Sequence[Answer]) -> Iterator[tuple[Key, float | None]]:
        """See ``Scorer``. The file is read once, a line at a time; what it lacks is unknown.

        An answer is judged as it is seen, and the file may hold it with its thinking.
        """
        wanted: dict[_Text, list[Key]] = {}
        for answer in answers:
            text = (answer.prompt["prompt_id"], text_id(answer.response))
            wanted.setdefault(text, []).append(answer.key)
        found = self._found(wanted)
        if lacking := len(wanted) - len(found):
            log.warning("%s has no %s of %d answers.", self.file, self.score, lacking)
        for text, keys in wanted.items():
            yield from ((key, found.get(text)) for key in keys)

    def _found(self, wanted: Container[_Text]) -> dict[_Text, float]:
        """Return the scores of these texts: of lines with exactly them, else with thinking too."""
        exact: dict[_Text, float] = {}
        without_thinking: dict[_Text, float] = {}
        for number, line in lines_of(place(self.file)):
            where = f"Line {number} of {self.file}"
            for text, found in zip(_texts(line, where), (exact, without_thinking), strict=True):
                value = _number(line, self.score, where) if text in wanted else None
                if value is None or (found is without_thinking and text in exact):
                    continue
                if found.setdefault(text, value) != value:
                    raise PersynError(
                        f"{where} has another {self.score} of an answer than an earlier line."
                    )
        return {**without_thinking, **exact}


def check_imported(file: str) -> None:
    """Refuse a file of scores that does not exist; a directory or a glob is none.

    Raises:
        PersynError: names it.
    """
    if not is_there(place(file)):
        raise PersynError(f"The file {file} of imported scores does not exist.")


def _texts(line: Any, where: str) -> tuple[_Text, _Text]:
    """Return a line's prompt with its answer: as it is, and without its thinking."""
    if not isinstance(line, dict):
        raise PersynError(f"{where} is not a JSON object.")
    prompt, response = line.get("prompt"), line.get("response")
    if prompt is None and line.get("messages") is not None:
        prompt = asked_prompt(read_messages(line["messages"], where), where)
    elif not isinstance(prompt, str) or not prompt.strip():
        raise PersynError(f"{where} has no text in 'prompt'.")
    if not isinstance(response, str):
        raise PersynError(f"{where} has no text in 'response'.")
    prompt_id = prompt_id_of(prompt)
    shown_text = visible_text(response, "strip")
    return (prompt_id, text_id(response)), (prompt_id, text_id(shown_text))


def _number(line: dict[str, Any], name: str, where: str) -> float | None:
    scores = line.get("scores")
    value = scores.get(name) if isinstance(scores, dict) else None
    if value is None:
        return None
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    with suppress(OverflowError):  # an integer of 400 digits
        if plain and math.isfinite(value):
            return float(value)
    raise PersynError(f"{where} has {shown(value)} as scores.{name}; it must be a number or null.")
