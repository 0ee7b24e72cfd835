"""Date and arguments of a template are part of identities where they matter, and only there."""

from typing import Any

import numpy as np
import pytest

from persyn_kedro.domain.learnability import statistics
from persyn_kedro.domain.quality.reward_model import RewardModel
from persyn_kedro.domain.router_comparison.fitting import Fitting
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.identities import model_identity
from persyn_kedro.foundations.models.resolve import resolve_model
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.runs.pool_checks import check_pool
from tests.support.clock import DATED
from tests.support.settings import SHORTEST

pytestmark = pytest.mark.usefixtures("only_tokenizers")

OFF = {"enable_thinking": False}


# Made before templates had a date and arguments: what was paid for is found again. (The fourth,
# of router scores, is as old as routers with settings of their kind alone.)
BEFORE = {
    "chat": (
        "f8903d55d540ee51e724209748536246", "3f30ee43d4c18d10bc47a45a32102b8f",
        "adce4929661df9a75f69391623b2308b", "58c71bed3bfbe9ff33b2458cb70e4747",
        "9eee25732aac62df5697b0034d9405e2",
    ),
    "base": (
        "ef8e6818e4545b3c622c75b534243add", "ab5b0db6f0b7f813a62704744b4c3a64",
        "39e5b6f6aeb0e3e54d6958ea8e8fd4e4", "1c23fc79bcbb058b3a75298f4e20765e",
        "e663896cac091b7e86b85f1a0e750ed3",
    ),
}  # fmt: skip


def identities(settings: ModelSettings) -> tuple[str, ...]:
    """Return those of a recipe, a scorer, a judge, a router's scores and a step's record."""
    m = resolve_model("tiny", settings)
    kind = TrainRouterSettings(backbone="tiny")
    return (
        Recipe("t", m, None, SamplingSettings()).recipe_id,
        statistics.scorer_id(m, None, "keep"),
        settings_id(RewardModel(m).identity),
        Fitting(kind, m, 0, {"a": "A"}, np.array([[0.0, 1.0]]), {}).shelf,
        settings_id(model_identity("tiny", settings)),
    )


@pytest.mark.parametrize("kind", ["chat", "base"])
@pytest.mark.parametrize("more", [{}, {"template_date": "2025-03-05"}])
def test_identities_without_clock_and_arguments_are_what_they_were(
    kind: str, more: dict[str, Any]
) -> None:
    assert identities(ModelSettings(random=kind, dtype="float32", **more)) == BEFORE[kind]


def test_date_and_arguments_are_part_of_each_identity_where_they_matter() -> None:
    changes: list[dict[str, Any]] = [
        {"chat_template": DATED},
        {"chat_template": DATED, "template_date": "2025-03-05"},
        {"chat_template": DATED, "template_arguments": OFF},
        {"chat_template": DATED, "template_arguments": {"enable_thinking": True}},
        {"template_arguments": OFF},
    ]
    found = [identities(ModelSettings(random="chat", dtype="float32", **c)) for c in changes]
    for ids in zip(BEFORE["chat"], *found, strict=True):
        assert len(set(ids)) == 6
    same = ModelSettings(
        random="chat", dtype="float32", chat_template=DATED, template_date="2024-07-26"
    )
    assert identities(same) == found[0]  # the default, written out


def test_the_order_of_arguments_is_none_of_a_model_s() -> None:
    pairs = [("a", 1), ("b", [True, None])]
    one, two = (
        identities(ModelSettings(random="chat", template_arguments=dict(p)))
        for p in (pairs, pairs[::-1])
    )
    assert one == two


def test_teachers_that_think_and_do_not_are_two() -> None:
    models = {"a": {"random": "chat"}, "b": {"random": "chat", "template_arguments": OFF}}
    settings = read_settings({**SHORTEST, "models": models})
    check_pool(settings)
