"""Several answers to a prompt in the settings: what is refused, and what a record holds."""

from typing import Any

import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.generate import (
    GenerateSettings,
    check_samples,
    draws_several,
)
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.marks import lasting, step
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.runs.fingerprints import reading
from tests.support.settings import SHORTEST

DRAWN = {"temperature": 1.0}


def settings_with(**groups: Any) -> Any:
    return read_settings({**SHORTEST, **groups})


def pool(samples: int = 1, sampling: Any = DRAWN) -> dict[str, Any]:
    return {"x": {"model": "a", "samples": samples, "sampling": sampling}, "y": {"model": "b"}}


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        (
            {"teachers": pool(4, {})},
            "Parameter teachers.x: samples is 4, but sampling.temperature is 0, so all of them "
            "would be the same answer: raise it, or set samples to 1.",
        ),
        ({"teachers": pool(0)}, "Parameter teachers.x.samples: "),
        ({"teachers": pool(1001)}, "Parameter teachers.x.samples: "),
        ({"generate": {"samples": 0}}, "Parameter generate.samples: "),
        ({"generate": {"samples": 2, "keep": "some"}}, "Parameter generate.keep: "),
        ({"label": {"samples": "worst"}}, "Parameter label.samples: "),
        (
            {"generate": {"samples": 4}},
            "Parameter generate: samples is 4, but keep: first takes the first answer where "
            "verification is keep: set keep to best or all, or verification to drop.",
        ),
    ],
)
def test_what_could_not_be_meant_is_refused(groups: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PersynError) as error:
        settings_with(**groups)
    assert str(error.value).startswith(sentence)


def test_greedy_teachers_are_refused_where_routed_prompts_get_several_answers() -> None:
    found = settings_with(teachers=pool(2), generate={"samples": 3, "keep": "all"})
    with pytest.raises(PersynError) as error:
        check_samples(found.teachers, found.generate)
    assert str(error.value) == (
        "generate.samples is 3, but teacher 'y' is greedy (temperature 0) and would give the same "
        "answer each time: raise teachers.y.sampling.temperature, or set generate.samples to 1."
    )
    check_samples(found.teachers, GenerateSettings())
    with pytest.raises(
        PersynError, match="generate.verification is resample, but .* it to next_ch"
    ):
        check_samples(found.teachers, GenerateSettings(verification="resample"))


def test_at_their_defaults_the_settings_are_in_no_record() -> None:
    found = settings_with()
    assert set(lasting(found.generate)) == {"verification", "max_calls", "on_failure"}
    assert "samples" not in lasting(found.label)
    assert all("samples" not in teacher for _, teacher in lasting(found.teachers))
    assert lasting(found.route) == {}
    several = settings_with(
        teachers=pool(2), generate={"samples": 2, "keep": "best"}, label={"samples": "best"}
    )
    assert dict(lasting(several.teachers))["x"]["samples"] == 2
    assert lasting(several.generate)["keep"] == "best"
    assert lasting(several.label)["samples"] == "best"


@step(only_if={draws_several: ("rewards", "generate", "label.alpha")}, label=("unsolved",))
def conditional(
    rewards: Any, models: Models, teachers: Teachers, label: LabelSettings,
    generate: GenerateSettings,
) -> None:  # fmt: skip
    """Stand in for a node that reads more with several answers."""


def record_of(**groups: Any) -> dict[str, Any]:
    found = settings_with(**groups)
    names = ("models", "teachers", "label", "generate")
    settings = {name: (name, getattr(found, name)) for name in names}
    return reading(conditional, settings, {"rewards": "1"}, lambda *_: {})


def test_what_is_read_of_several_answers_alone_is_in_no_record_without_them() -> None:
    before = record_of()
    assert before["inputs"] == {}
    assert before["parameters"].keys() == {"teachers", "label"}
    assert before["parameters"]["label"] == {"unsolved": "keep"}
    for groups in ({"teachers": pool(2)}, {"generate": {"samples": 2, "keep": "all"}}):
        several = record_of(**groups)
        assert several["inputs"] == {"rewards": "1"}
        assert several["parameters"]["label"] == {"unsolved": "keep", "alpha": 0.4}
        assert "verification" in several["parameters"]["generate"]
    assert record_of(generate={"verification": "drop"}) == before
