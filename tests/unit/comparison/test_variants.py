"""Strategies with a router or reward of their own: what they are, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from persyn_kedro.domain.comparison.strategies.variants import check_variants, variants_of
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.compare import CompareSettings
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.teachers import Teachers

ROUTERS = CompareRoutersSettings.model_validate(
    {"routers": {"near": {"kind": "knn", "neighbours": 3}}}
)
TRAINED = TrainRouterSettings.model_validate({"kind": "linear", "invalid": "lose"})
TEACHERS = Teachers.model_validate({"big": {"model": "m"}, "tiny": {"model": "n"}})


def settings(**variants: dict[str, Any]) -> CompareSettings:
    return CompareSettings.model_validate({"variants": variants, "alphas": [0.4, 1.0]})


def test_a_router_is_a_named_one_or_a_kind_with_the_keys_of_train_router() -> None:
    compare = settings(
        a={"router": "near", "learnability": "brier"},
        b={"router": "mlp"},
        c={"normalise": "pool_z", "alpha": 0.0},
        d={"teacher": "big"},  # has no router
    ).model_copy(update={"strategies": ["persyn", "task_type"]})
    found = variants_of(compare, ROUTERS, TRAINED, 0.4)
    assert list(found) == ["persyn_alpha_1", "task_type", "a", "b", "c"]
    routers = {name: each.router for name, each in found.items()}
    assert routers["a"].model_dump()["neighbours"] == 3
    assert [routers[n].kind for n in "abc"] == ["knn", "mlp", "linear"]
    assert routers["task_type"].kind == "task_type"
    assert {each.invalid for each in routers.values()} == {"lose"}
    assert routers["persyn_alpha_1"] == TRAINED
    assert [found[n].reward for n in ("persyn_alpha_1", "a", "b", "c")] == [
        {"alpha": 1.0}, {"learnability": "brier"}, {}, {"alpha": 0.0, "normalise": "pool_z"}
    ]  # fmt: skip
    assert compare.blind == {"random", "d"}
    check_variants(compare, ROUTERS, TRAINED, LabelSettings(), TEACHERS)


@pytest.mark.parametrize(
    ("variant", "sentence"),
    [
        (
            {"router": "far"},
            "x.router is 'far', which is neither .* choose one of near, la",
        ),
        (
            {"teacher": "small"},
            "x.teacher is 'small', which is not a teacher; the teachers are",
        ),
        ({"learnability": "local_likelihood"}, "x.learnability is local_likelihood.*label.local"),
    ],
)
def test_what_there_is_not_is_refused_by_name(variant: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PersynError, match=sentence):
        check_variants(settings(x=variant), ROUTERS, TRAINED, LabelSettings(), TEACHERS)


@pytest.mark.parametrize(
    ("variants", "sentence"),
    [
        ({"x": {}}, "must set what differs"),
        ({"x": {"teacher": "big", "alpha": 1.0}}, "teacher leaves no choice to alpha"),
        ({"strong": {"alpha": 1.0}}, "must not be named strong"),
        ({"persyn_alpha_1": {"router": "knn"}}, "must not be named persyn_alpha_1"),
        ({" ": {"router": "knn"}}, "one line and not empty"),
    ],
)
def test_a_variant_that_says_nothing_or_has_a_taken_name_is_refused(
    variants: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        settings(**variants)


def test_a_budget_is_for_equal_tokens_alone() -> None:
    assert CompareSettings(examples="equal_tokens", tokens=5).tokens == 5
    with pytest.raises(ValidationError, match="tokens is for examples: equal_tokens"):
        CompareSettings(tokens=5)
