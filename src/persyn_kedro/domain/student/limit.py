"""Which answers are short enough for the student's training."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from persyn_kedro.domain.student.sft import fits
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.prompts.conversation import Prompt


@dataclass(frozen=True)
class WithinLimit:
    """Whether a prompt and its response are at most ``max_length`` tokens of the student's.

    Its first call loads the tokenizer, and so Transformers and torch: call it in a child process.

    Attributes:
        system: the student's own system message.
    """

    student: ResolvedModel
    system: str | None
    max_length: int

    @cached_property
    def _tokenizer(self) -> Any:
        from persyn_kedro.foundations.models.load import load_tokenizer

        return load_tokenizer(self.student)

    def __call__(self, prompt: Prompt, response: str) -> bool:
        """Return whether ``training_examples`` keeps this row."""
        return fits(self._tokenizer, self.system, prompt, response, self.max_length)
