"""Intervals: bootstrap, shares, and seeds crossed with prompts."""

from .bootstrap import estimate as estimate, mean_over_prompts as mean_over_prompts
from .rank_correlation import spearman as spearman
from .shares import mean_t as mean_t, newcombe_paired as newcombe_paired, wilson as wilson
from .two_way import certainty as certainty
