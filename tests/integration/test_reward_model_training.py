"""Preference pairs from right and wrong answers, and a reward model trained on them."""

from pathlib import Path

from persyn_kedro.domain.quality.reward_model import reward_model_scores
from persyn_kedro.domain.reward_model.training import train_reward_model_job
from persyn_kedro.foundations.models.resolve import resolve_model
from persyn_kedro.foundations.settings.experiments import TrainRewardModelSettings
from persyn_kedro.foundations.settings.models import ModelSettings


def test_a_trained_reward_model_prefers_what_it_was_shown(tmp_path: Path) -> None:
    model = resolve_model("tiny", ModelSettings(random="chat", random_seed=4, dtype="float32"))
    shown = [{"prompt": f"{i}?", "chosen": f"yes {i}", "rejected": f"no {i}"} for i in range(16)]
    settings = TrainRewardModelSettings(
        epochs=6, batch_size=4, gradient_accumulation=1, learning_rate=5e-3, max_length=64
    )
    curve = list(train_reward_model_job(shown, model, settings, 1, tmp_path))
    assert curve[0] == {"left_out": 0}
    assert curve[-1]["loss"] < 0.3 < curve[1]["loss"]
    judge = resolve_model("judge", ModelSettings(local=str(tmp_path / "model"), dtype="float32"))
    new = [(i, f"{i}?", f"{word} {i}") for i in range(90, 96) for word in ("yes", "no")]
    scores = [score for _, score in reward_model_scores(new, judge)]
    assert all(yes > no for yes, no in zip(scores[::2], scores[1::2], strict=True))  # type: ignore[operator]
    again = list(train_reward_model_job(shown, model, settings, 1, tmp_path / "again"))
    assert again == curve
