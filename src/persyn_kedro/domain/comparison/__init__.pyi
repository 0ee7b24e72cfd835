"""Strategies compared: what each trains a student on, and how that student does."""

from .published import (
    COMPARE as COMPARE,
    COMPARE_ROUTERS as COMPARE_ROUTERS,
    TABLES as TABLES,
    published_answers as published_answers,
    published_choices as published_choices,
    published_examples as published_examples,
    recompute as recompute,
    recompute_strategies as recompute_strategies,
)
from .report import TrainingSets as TrainingSets, build_comparison as build_comparison
from .strategies.allocation import (
    PERSYN as PERSYN,
    Pool as Pool,
    RouterScores as RouterScores,
    allocate as allocate,
)
from .strategies.cheap import Scores as Scores, cheap_scores as cheap_scores
from .strategies.costs import (
    Calibration as Calibration,
    price_strategies as price_strategies,
    strategy_prompts as strategy_prompts,
    strategy_tokens as strategy_tokens,
)
from .strategies.equal_tokens import take_equal_tokens as take_equal_tokens
from .strategies.examples import Trainable as Trainable, strategy_examples as strategy_examples
from .strategies.generation import Asked as Asked, generate_side_by_side as generate_side_by_side
from .strategies.labelled import Labelled as Labelled
from .strategies.merits import STATISTICS as STATISTICS, mean_nll as mean_nll
from .strategies.rules import Choices as Choices, choices_by_strategy as choices_by_strategy
from .strategies.variants import (
    check_variants as check_variants,
    score_variants as score_variants,
    variants_of as variants_of,
)
from .students import UNTRAINED as UNTRAINED, quality_matrices as quality_matrices
from .taught import taught_by_kind as taught_by_kind
from .trial import Setup as Setup
from .trials import check_test_set as check_test_set, run_trials as run_trials
