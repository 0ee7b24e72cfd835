"""Tables: declared once, checked as they are saved, read in blocks."""

from .added import with_added as with_added
from .checks import TableCheck as TableCheck
from .code_tests import read_tests as read_tests
from .lazy_reads import telling as telling
from .memory import give_back as give_back
from .messages import (
    PROMPT as PROMPT,
    columns_of as columns_of,
    prompt_of as prompt_of,
    prompts_of as prompts_of,
)
from .references import stored as stored
from .registry import COLUMNS as COLUMNS
from .rows import (
    BLOCK as BLOCK,
    PromptColumns as PromptColumns,
    TableRows as TableRows,
    TextColumn as TextColumn,
    read_blocks as read_blocks,
    texts_alone as texts_alone,
)
from .schemas import (
    CALIBRATION_SET as CALIBRATION_SET,
    DROPPED_PROMPTS as DROPPED_PROMPTS,
    FOCUS as FOCUS,
    QUALITY_TERMS as QUALITY_TERMS,
    REPEATED_PROMPTS as REPEATED_PROMPTS,
    RESPONSES as RESPONSES,
    SOURCE_PROMPTS as SOURCE_PROMPTS,
    TEST_SET as TEST_SET,
    unsettled_rows as unsettled_rows,
)
