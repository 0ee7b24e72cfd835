"""The prompts of test sets: of files, hub datasets and benchmarks."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from persyn_kedro.domain.benchmarks import benchmark_questions
from persyn_kedro.domain.cleaning.overlap import Question
from persyn_kedro.domain.cleaning.texts import user_text
from persyn_kedro.domain.prompts import read_rows
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.extras import need
from persyn_kedro.foundations.processes import run_in_child
from persyn_kedro.foundations.settings.cleaning import AgainstSettings
from persyn_kedro.foundations.settings.prepare import PrepareSettings, PromptSource
from persyn_kedro.foundations.storage.prompt_files import prompt_files
from persyn_kedro.foundations.tables import prompt_of


def check_against(prepare: PrepareSettings) -> None:
    """Refuse a test set that clearly cannot be read.

    Raises:
        PersynError: names it.
    """
    for own in prepare.against:
        if own.file and not prompt_files(own.file):
            raise PersynError(f"The test set {own.file} does not exist; check prepare.against.")
        if own.benchmark:
            need(f"The test set {own.benchmark}", "benchmark")
        if own.include_path and not Path(own.include_path).is_dir():
            raise PersynError(
                f"prepare.against: include_path {own.include_path!r} is not a directory."
            )


def read_test_prompts(against: Iterable[AgainstSettings]) -> Iterator[Question]:
    """Yield the test sets' prompts, of conversations all user turns.

    Raises:
        PersynError: a test set is missing, empty or cannot be read, or the harness does not have
            the benchmark.
    """
    for own in against:
        if own.benchmark:
            questions = run_in_child(
                benchmark_questions,
                own.benchmark,
                own.include_path,
                label=f"the test prompts of {own.benchmark}",
            )
            yield from (Question(*question) for question in questions)
            continue
        numbers: Counter[str] = Counter()
        for row in read_rows(_source(own), 0):
            numbers[row["source"]] += 1
            text = user_text(prompt_of({"messages": None, **row}))
            yield Question(row["source"], numbers[row["source"]], text)


class _TestSet(PromptSource):
    @property
    def key(self) -> str:
        return "prepare.against"


def _source(own: AgainstSettings) -> PromptSource:
    """Return a test set as a source of prompts, whose column may hold text or messages."""
    given = own.model_dump(include={"file", "hub", "hub_config", "hub_split", "hub_revision"})
    where: dict[str, Any] = {
        name: value for name, value in given.items() if name in own.model_fields_set
    }
    if own.hub:
        where["hub_split"] = own.hub_split
    names = ("prompt_column", "messages_column", "conversations_column")
    if "column" in own.model_fields_set:
        where |= dict.fromkeys(names, own.column)
    return _TestSet(**where, last_answer="reference")
