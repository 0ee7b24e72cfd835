"""Quality: whether an answer is right, or how good a reward model finds it."""

from .checking import (
    check_can_be_judged as check_can_be_judged,
    check_can_be_labelled as check_can_be_labelled,
    check_quality as check_quality,
    exact_scorer as exact_scorer,
)
from .own_function import quality_function as quality_function
from .reward_model import reward_model_scores as reward_model_scores
