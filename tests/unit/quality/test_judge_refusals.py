"""Where a judge cannot do what it is set to: one sentence, before a model is asked."""

from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain.designs.balanced import check_design
from persyn_kedro.domain.quality.checking import check_can_be_judged, check_judged_alone
from persyn_kedro.domain.quality.kinds import scorer_of
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.asking import Asking
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.generate import GenerateSettings, check_samples
from persyn_kedro.foundations.settings.label import LabelSettings, QualitySettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.teachers import Teachers
from tests.support.fake_engine import ENGINE

HOT = {"model": "m", "sampling": {"temperature": 1.0}}
TEACHERS = Teachers.model_validate({"a": HOT, "b": {**HOT, "system": "Be brief."}})


def label(mode: str = "score", rubric: str = "instruction_following", **more: Any) -> LabelSettings:
    judge = {"kind": "judge", "model": "m", "rubric": rubric, "mode": mode}
    return LabelSettings.model_validate({"quality": judge, **more})


def test_a_rubric_by_references_needs_some() -> None:
    prompts: list[dict[str, Any]] = [{"reference": None}, {"reference": None}]
    with pytest.raises(PersynError, match=r"^The rubric correctness .* but no prompt has one: add"):
        check_can_be_judged(prompts, label(rubric="correctness"))
    check_can_be_judged([*prompts, {"reference": "4"}], label(rubric="correctness"))
    check_can_be_judged(prompts, label())


@pytest.mark.parametrize("mode", ["pairwise", "listwise"])
def test_a_mode_that_compares_is_refused_where_answers_come_one_by_one(mode: str) -> None:
    compares = f"mode {mode} .*compares a prompt's answers with each other"
    with pytest.raises(PersynError, match=f"{compares}, but answers come alone: set it to score"):
        check_judged_alone(label(mode).quality, "answers come alone")
    adaptive = {"design": {"adaptive": {}}, "normalise": "pool_z"}
    with pytest.raises(PersynError, match=f"label.design is adaptive.*{compares}: set it"):
        check_design(TEACHERS, label(mode, **adaptive))
    best = GenerateSettings(keep="best", samples=2)
    with pytest.raises(PersynError, match=f"generate.keep is best.*{compares}: set it"):
        check_samples(TEACHERS, best, label(mode))
    check_judged_alone(label().quality, "answers come alone")
    check_samples(TEACHERS, best, label())


@pytest.mark.parametrize("mode", ["pairwise", "listwise"])
def test_a_mode_that_compares_does_not_say_what_is_unsolved(mode: str) -> None:
    """Pairwise, answers that are all equally good have 0, as those that are all wrong elsewhere."""
    with pytest.raises(ValueError, match=f"unsolved is leave_out, but mode {mode} of quality"):
        label(mode, unsolved="leave_out")
    assert label(unsolved="leave_out").unsolved == "leave_out"
    judge = {"kind": "judge", "model": "m", "rubric": "correctness", "mode": mode}
    terms = [{"kind": "exact_answer"}, judge]  # the verdicts alone say it
    assert LabelSettings.model_validate({"quality": terms, "unsolved": "leave_out"}).terms


def test_of_several_terms_one_must_judge_alone(tmp_path: Path) -> None:
    models = Models.model_validate({"m": {"endpoint": {"url": "http://h/v1", "model": "x"}}})
    calls = Asking(ResponseStore(tmp_path), ENGINE, 1)
    judge = {"kind": "judge", "model": "m", "rubric": "correctness"}
    terms = LabelSettings.model_validate({"quality": [{**judge, "mode": "pairwise"}]}).terms
    with pytest.raises(PersynError, match="^No term of label.quality can judge an answer without"):
        scorer_of(terms, models, calls)
    own = LabelSettings.model_validate({"quality": [judge, {**judge, "mode": "listwise",
                                                             "name": "list"}]}).terms  # fmt: skip
    assert scorer_of(own, models, calls).settings is own[0]  # type: ignore[attr-defined]


def test_a_setting_of_judges_without_one_is_named() -> None:
    with pytest.raises(ValueError, match="mode is only for kind judge, not for code"):
        QualitySettings.model_validate({"kind": "code", "mode": "score"})
