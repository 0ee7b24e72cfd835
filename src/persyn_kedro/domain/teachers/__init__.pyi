"""Teachers: request answers and store them, so that each is paid for only once."""

from .asking import Asking as Asking
from .budget import Ledger as Ledger
from .client import answer as answer, make_sure as make_sure
from .import_answers import import_responses as import_responses
from .recipe import (
    Recipe as Recipe,
    pool_identity as pool_identity,
    resolve_recipes as resolve_recipes,
)
from .result import sum_calls as sum_calls, with_texts as with_texts
