"""What a run would take: calls, tokens, cost and disk."""

from .actual import against_actual as against_actual
from .calls import GENERATE as GENERATE, LABEL as LABEL
from .plan import (
    Work as Work,
    estimate_table as estimate_table,
    make_plan as make_plan,
    read_prompts as read_prompts,
)
