"""Strategies compared: what each trains a student on, and how that student does."""

from .report import (
    TrainingSets as TrainingSets,
    allocation_by_kind as allocation_by_kind,
    build_comparison as build_comparison,
)
from .strategies.allocation import (
    PERSYN as PERSYN,
    Pool as Pool,
    RouterScores as RouterScores,
    allocate as allocate,
)
from .strategies.alphas import Labelled as Labelled, score_at_alphas as score_at_alphas
from .strategies.cheap import Scores as Scores, cheap_scores as cheap_scores
from .strategies.costs import (
    price_strategies as price_strategies,
    strategy_tokens as strategy_tokens,
)
from .strategies.examples import Trainable as Trainable, strategy_examples as strategy_examples
from .strategies.generation import generate_side_by_side as generate_side_by_side
from .strategies.merits import STATISTICS as STATISTICS, mean_nll as mean_nll
from .strategies.rules import choices_by_strategy as choices_by_strategy
from .students import UNTRAINED as UNTRAINED, quality_matrices as quality_matrices
from .trial import Setup as Setup
from .trials import check_test_set as check_test_set, run_trials as run_trials
