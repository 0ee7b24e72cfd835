"""Reward models' scores, by a tiny model."""

from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification

from persyn_kedro.domain.quality.reward_model import reward_model_scores
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.models import ModelSettings
from tests.support.random_judge import make_judge


@pytest.fixture(scope="module")
def reward_model(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    directory = tmp_path_factory.mktemp("reward")
    make_judge(directory, 2)
    return _resolved(directory)


def _resolved(directory: Path) -> ResolvedModel:
    return ResolvedModel(
        "judge", directory, "w", ModelSettings(local=str(directory), dtype="float32")
    )


PAIRS = [("a", "2+2?", "4"), ("b", "2+2?", ""), ("c", "Tell me more, please.", "No <|im_end|>.")]


def test_reward_model_scores_do_not_depend_on_the_batch(reward_model: ResolvedModel) -> None:
    one = dict(reward_model_scores(PAIRS, reward_model, 1))
    three = dict(reward_model_scores(PAIRS, reward_model, 3))
    assert list(one) == ["a", "b", "c"]
    assert one["b"] is three["b"] is None
    assert one["a"] != one["c"]
    assert [three[k] for k in "ac"] == pytest.approx([one[k] for k in "ac"], abs=1e-5)


def test_a_score_that_is_no_number_is_unknown(reward_model: ResolvedModel, tmp_path: Path) -> None:
    make_random_model(tmp_path, "chat", 2)
    model = AutoModelForSequenceClassification.from_pretrained(reward_model.directory)
    model.score.weight.data.fill_(float("nan"))
    model.save_pretrained(tmp_path)
    assert dict(reward_model_scores(PAIRS, _resolved(tmp_path))) == dict.fromkeys("abc")


def test_a_causal_model_is_no_reward_model(tmp_path: Path) -> None:
    make_random_model(tmp_path, "chat", 2)
    with pytest.raises(PersynError, match="not a reward model"):
        list(reward_model_scores(PAIRS, _resolved(tmp_path)))
