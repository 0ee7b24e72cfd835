"""One date and the same arguments wherever a model's template runs, and in its identities."""

from functools import partial
from typing import Any

import pytest

from persyn_kedro.domain.learnability import statistics
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.load import load_tokenizer
from persyn_kedro.foundations.models.rendering import render_prompt
from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_model
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs import preflight as run_checks
from tests.support.settings import SHORTEST

pytestmark = pytest.mark.usefixtures("only_tokenizers")


def model(**settings: Any) -> ResolvedModel:
    return resolve_model("m", ModelSettings(random="chat", dtype="float32", **settings))


def test_a_random_template_is_refused_before_anything_is_loaded_or_asked() -> None:
    m = model(chat_template="{{ messages | random }}")
    for act in (
        lambda: Recipe("t", m, None, SamplingSettings()).recipe_id,
        lambda: statistics.scorer_id(m, None, "keep"),
        lambda: load_tokenizer(m),
    ):
        with pytest.raises(PersynError, match="^The chat template of model 'm' uses the filter"):
            act()


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{{ raise_exception }}", "prints an object's memory address"),
        ("{{ messages | map(attribute='role') }}", "prints an object's memory address"),
        ("{% include 'x' %}", "rejects messages of user: no loader"),
        ("{{ 1 + 'a' }}", "rejects messages of user: unsupported operand"),
        ("{{ 1 // 0 }}", "rejects messages of user: .* by zero"),
        ("{{ messages[0].__class__.__mro__ }}", "rejects messages of user: access to attribute"),
    ],
)
def test_what_a_template_cannot_write_twice_is_one_sentence(template: str, sentence: str) -> None:
    tokenizer = load_tokenizer(model(chat_template=template))
    with pytest.raises(PersynError, match=f"^The chat template {sentence}"):
        render_prompt(tokenizer, None, "Hi")
    said = "What is <function f at 0x7f0012>?"
    plain = load_tokenizer(model())
    assert said in plain.decode(render_prompt(plain, None, said))


def test_a_student_s_random_template_is_refused_before_its_teachers_are_paid() -> None:
    settings = read_settings(
        {
            **SHORTEST,
            "models": {
                **{name: {"random": "chat"} for name in "ab"},
                "s": {"random": "chat", "chat_template": "{{ lipsum() }}"},
            },
            "student": {"model": "s"},
        }
    )
    check = partial(run_checks._check_models, settings=settings)
    check(register_pipelines()["prepare"])
    with pytest.raises(PersynError, match="^The chat template of model 's' uses lipsum"):
        check(register_pipelines()["label"])
