"""Designs of the calibration: which teachers are asked which prompts, and what was asked."""

from .asked import (
    Asked as Asked,
    asked_of as asked_of,
    of_random_ones as of_random_ones,
    unanswered as unanswered,
    with_asked as with_asked,
)
from .balanced import (
    asked_prompts as asked_prompts,
    balanced as balanced,
    check_design as check_design,
)
