"""The settings of batch APIs: refused ones, prices, and that no identity knows them."""

from typing import Any

import pytest
from pydantic import ValidationError

from persyn_kedro.domain.teachers.recipe import make_recipes
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.identities import model_identity
from persyn_kedro.foundations.models.resolve import resolve_models
from persyn_kedro.foundations.settings.endpoint import EndpointSettings
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.teachers import Teachers, check_sampling

HOST = {"url": "http://h/v1", "model": "m"}


def pool(**sampling: Any) -> Teachers:
    teacher = {"model": "hosted", "price": 4.0, "prompt_price": 2.0, "cached_prompt_price": 1.0}
    return Teachers.model_validate(
        {"t": {**teacher, "sampling": sampling}, "u": {**teacher, "system": "!"}}
    )


def models(template_arguments: dict[str, Any] | None = None, **endpoint: Any) -> Models:
    model = {"endpoint": {**HOST, **endpoint}, "template_arguments": template_arguments or {}}
    return Models.model_validate({"hosted": model})


@pytest.mark.parametrize(
    ("sampling", "arguments", "sentence"),
    [
        ({"repetition_penalty": 1.1}, None, r"teachers\.t\.sampling\.repetition_penalty: .* null"),
        ({"temperature": 1.2}, None, r"teachers\.t\.sampling\.temperature: .* at most 1; lower"),
        ({}, {"think": False}, r"models\.hosted\.template_arguments: .* remove them"),
    ],
)
def test_what_anthropic_s_messages_lack_is_refused_by_batch_only(
    sampling: dict[str, Any], arguments: dict[str, Any] | None, sentence: str
) -> None:
    for batch in ("openai", None):
        check_sampling(models(arguments, batch=batch), pool(**sampling))
    with pytest.raises(PersynError, match=sentence):
        check_sampling(models(arguments, batch="anthropic"), pool(**sampling))


@pytest.mark.parametrize(
    "wrong", [{"batch": "google"}, {"batch_poll_seconds": 0.0}, {"batch_price_factor": 1.5}]
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EndpointSettings.model_validate({**HOST, **wrong})


def test_no_identity_knows_how_a_teacher_is_asked() -> None:
    plain = ModelSettings.model_validate({"endpoint": HOST})
    batch = {"batch": "openai", "batch_poll_seconds": 5.0, "batch_price_factor": 0.4}
    asked = ModelSettings.model_validate({"endpoint": {**HOST, **batch}})
    assert lasting(plain) == lasting(asked)
    assert model_identity("m", plain) == model_identity("m", asked)


@pytest.mark.parametrize(
    ("endpoint", "factor"),
    [({}, 1.0), ({"batch": "openai"}, 0.5), ({"batch": "openai", "batch_price_factor": 0.4}, 0.4)],
)
def test_calls_by_batch_cost_their_share_of_the_prices(
    endpoint: dict[str, Any], factor: float
) -> None:
    found = models(**endpoint)
    recipe = make_recipes(pool(), resolve_models(found, ["hosted"]))[0]
    assert recipe.cost(100, 10, 50) == pytest.approx(factor * (50 * 2 + 50 * 1 + 10 * 4) / 1e6)
