"""Whose spending a budget limits."""

from dataclasses import replace
from pathlib import Path

import pytest

from persyn_kedro.domain.engines.base import Generation, Request
from persyn_kedro.domain.teachers import Ledger
from persyn_kedro.domain.teachers.budget import BudgetReached
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.settings.spending import Budget


def judge(name: str) -> Recipe:
    """One of label.quality's, all of which have the same name; 10 tokens cost 10."""
    settings = ModelSettings(endpoint={"url": f"http://{name}/v1", "model": name})  # type: ignore[arg-type]
    model = ResolvedModel(name, Path("/dev/null"), f"endpoint:{name}", settings)
    sampling, budget = SamplingSettings(max_new_tokens=10), Budget(max_cost=100.0)
    return Recipe("the judge", model, None, sampling, 1e6, 0.0, budget, place="label.quality")


def spend(ledger: Ledger, recipe: Recipe, calls: int, run: Budget = Budget()) -> None:  # noqa: B008
    for number in range(calls):
        request = Request(f"{recipe.model.name} {number}", "p", None, recipe.sampling, 0)
        assert ledger.reserve(recipe, request, run)
        ledger.book(recipe, request.key, Generation(request.key, "", "stop", 1, 10))


def test_two_judges_have_a_budget_each() -> None:
    ledger, one, two = Ledger(), judge("one"), judge("two")
    for each in (one, two):
        spend(ledger, each, 10)
    assert ledger.spent(one.account)[1] == ledger.spent(two.account)[1] == 100.0
    assert ledger.spent()[1] == 200.0
    with pytest.raises(BudgetReached, match="max_cost = 100 of the judge"):
        spend(ledger, two, 11)
    (counts,) = ledger.take_counts()  # the manifest has one line for judging
    assert (counts["teacher"], counts["calls"]) == ("the judge", 20)


def test_a_teachers_account_is_its_name_and_a_runs_budget_is_for_all() -> None:
    ledger, one = Ledger(), judge("one")
    teacher = replace(one, teacher="t", place=None)
    assert teacher.account == "t"
    spend(ledger, one, 5)
    with pytest.raises(BudgetReached, match="max_cost = 90 of the run"):
        spend(ledger, teacher, 5, Budget(max_cost=90.0))
