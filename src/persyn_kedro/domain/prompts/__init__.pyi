"""Prompts: read them from their source, split them, and find or select them."""

from .find import find_prompt as find_prompt, row_of_prompt as row_of_prompt, some_ids as some_ids
from .focus import focus_table as focus_table, round_schedule as round_schedule
from .left_out import (
    FOCUS_KEY as FOCUS_KEY,
    focus_counts as focus_counts,
    focus_identity as focus_identity,
    focus_of as focus_of,
    passed_over as passed_over,
    prompts_left_out as prompts_left_out,
    without as without,
)
from .messages import asked_prompt as asked_prompt, read_messages as read_messages
from .mixture import mix_sources as mix_sources
from .prepare import (
    place_of as place_of,
    prepare_prompts as prepare_prompts,
    repeated_prompts as repeated_prompts,
    split_prompts as split_prompts,
)
from .select import (
    ANSWERED as ANSWERED,
    CALIBRATION as CALIBRATION,
    JUDGED_BY as JUDGED_BY,
    TEST as TEST,
    find_rows as find_rows,
    find_texts as find_texts,
    holds_system as holds_system,
    places_of as places_of,
    role_patterns as role_patterns,
    select_ids as select_ids,
    select_rows as select_rows,
    select_texts as select_texts,
)
from .sources import read_rows as read_rows
from .templates import (
    check_templates as check_templates,
    conversation_readers as conversation_readers,
)
