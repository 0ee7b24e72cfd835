"""What answers are expected to cost, and the choice of teachers by it."""

from .asked import Asked as Asked, lacking_answers as lacking_answers
from .expected import (
    CostModel as CostModel,
    fit_cost_model as fit_cost_model,
    pool_costs as pool_costs,
    prompt_bytes as prompt_bytes,
    reward_scale as reward_scale,
    used_tokens as used_tokens,
)
from .weighing import check_scale as check_scale, price_of as price_of, weigh as weigh
