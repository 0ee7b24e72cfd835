"""Rewards: quality and learnability on one scale, mixed."""

from .reward import (
    NOT_ASKED as NOT_ASKED,
    asked_at_random as asked_at_random,
    comparable as comparable,
    compute_rewards as compute_rewards,
    fair_matrix as fair_matrix,
    fitted_rewards as fitted_rewards,
    never_valid as never_valid,
    reward_matrix as reward_matrix,
    tell_apart as tell_apart,
    unsolved_prompts as unsolved_prompts,
)
from .samples import best_samples as best_samples
from .scales import normalise as normalise
from .terms import combine_terms as combine_terms
