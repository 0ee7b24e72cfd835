"""What a run would take: calls, tokens, cost and disk."""

from .actual import against_actual as against_actual, judges_used as judges_used
from .calls import GENERATE as GENERATE, LABEL as LABEL
from .judging import Judging as Judging
from .plan import estimate_table as estimate_table, make_plan as make_plan
from .prompts import read_prompts as read_prompts
from .work import Work as Work
