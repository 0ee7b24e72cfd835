"""Intervals: bootstrap, shares, and seeds crossed with prompts."""

from .bootstrap import (
    estimate as estimate,
    mean_over_prompts as mean_over_prompts,
    ratio_over_prompts as ratio_over_prompts,
)
from .rank_correlation import (
    spearman as spearman,
    spearman_over_prompts as spearman_over_prompts,
    spearman_within as spearman_within,
)
from .shares import mean_t as mean_t, newcombe_paired as newcombe_paired, wilson as wilson
from .simultaneous import (
    joint_level as joint_level,
    joint_level_of_differences as joint_level_of_differences,
)
from .two_way import Luck as Luck, certainty as certainty, common_luck as common_luck
