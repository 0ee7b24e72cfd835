"""Clean prompts: near-duplicates, overlap with test sets, language and length (METHOD.md, 0)."""

from .against import check_against as check_against
from .dropped import (
    dropped_counts as dropped_counts,
    dropped_ids as dropped_ids,
    why_dropped as why_dropped,
)
from .language import check_language as check_language
from .screen import screen_prompts as screen_prompts
