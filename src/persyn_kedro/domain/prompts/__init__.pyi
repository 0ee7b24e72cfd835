"""Prompts: where they come from, how they are split, and how one is found."""

from .chosen import ChosenPrompts as ChosenPrompts, in_memory as in_memory
from .find import find_prompt as find_prompt, prompt_of_text as prompt_of_text, some_ids as some_ids
from .prepare import prepare_prompts as prepare_prompts, split_prompts as split_prompts
from .select import rows_of as rows_of, select_prompts as select_prompts, select_rows as select_rows
from .sources import read_rows as read_rows
