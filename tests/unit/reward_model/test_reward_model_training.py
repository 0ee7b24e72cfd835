"""Preference pairs from right and wrong answers, and a reward model trained on them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from persyn_kedro.domain.reward_model.measuring import preference_accuracy
from persyn_kedro.domain.reward_model.pairs import preference_pairs
from persyn_kedro.domain.reward_model.training import train_reward_model_job
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import resolve_model
from persyn_kedro.foundations.settings.experiments import TrainRewardModelSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.tables import schemas

ANSWERS = {  # prompt: {teacher: (text, quality, finish reason)}
    "p": {
        "a": ("<think>hm</think>4", 1.0, "stop"),
        "b": ("4", 1.0, "stop"),  # the same text once its thinking is stripped
        "c": ("5", 0.0, "stop"),
        "d": ("6", 0.0, "stop"),
        "e": ("7 and so", 0.0, "length"),
        "f": ("8", None, "stop"),
    },
    "q": {"a": ("1", 1.0, "stop"), "b": ("2", 1.0, "stop")},  # nothing wrong
    "r": {"a": ("1", 1.0, "stop"), "b": ("2", 0.0, "stop"), "c": (" ", 0.0, "stop")},
}


def pairs(per_prompt: int = 4, seed: int = 1) -> list[dict[str, Any]]:
    flat = [(p, t, *answer) for p, own in ANSWERS.items() for t, answer in own.items()]
    responses = [
        {
            "prompt_id": p, "teacher": t, "response_key": f"{p}{t}", "response": text,
            "finish_reason": reason,
        }
        for p, t, text, _, reason in flat
    ]  # fmt: skip
    quality = [{"response_key": f"{p}{t}", "quality": q} for p, t, _, q, _ in flat]
    prompts = [
        {
            "prompt_id": p, "prompt": f"{p}?", "messages": None,
            "part": "holdout" if p == "r" else "fit",
        }
        for p in ANSWERS
    ]  # fmt: skip
    table = preference_pairs(
        pa.Table.from_pylist(responses, schemas.RESPONSES),
        pa.Table.from_pylist(quality, schemas.QUALITY),
        prompts,
        dict.fromkeys("abcdef", "strip"),  # type: ignore[arg-type]
        per_prompt,
        seed,
    )
    return table.to_pylist()


def test_right_answers_are_preferred_to_wrong_ones() -> None:
    found = {(r["prompt_id"], r["chosen"], r["rejected"], r["part"]) for r in pairs()}
    assert found == {("p", "4", "5", "fit"), ("p", "4", "6", "fit"), ("r", "1", "2", "holdout")}


def test_only_so_many_pairs_of_a_prompt_drawn_by_the_seed() -> None:
    drawn = {pairs(1, seed)[0]["rejected"] for seed in range(20)}
    assert drawn == {"5", "6"}
    assert pairs(1, 3) == pairs(1, 3)
    assert [r["prompt_id"] for r in pairs(1)] == ["p", "r"]


def test_accuracy_counts_ties_half_and_prompts_not_pairs() -> None:
    found = preference_accuracy(
        ["p", "p", "q", "r"],
        [1.0, 2.0, 0.0, None],
        [0.0, 2.0, 1.0, 1.0],
        [(1, 2), (5, 2), (3, 3), (1, 1)],
        0.95,
        seed=1,
    )
    assert (found["pairs"], found["prompts"], found["unscored"]) == (3, 2, 1)
    assert found["accuracy"]["value"] == pytest.approx(1.5 / 3)
    assert found["shorter_is_better"]["value"] == pytest.approx(1.5 / 3)
    # Two prompts, one of 1.5 out of 2 and one of 0 out of 1: no other shares can be drawn.
    assert found["accuracy"]["interval"] == pytest.approx([0.0, 0.75])
    assert preference_accuracy([], [], [], [], 0.95, 1)["accuracy"] is None


@pytest.mark.usefixtures("only_tokenizers")
def test_pairs_that_are_all_too_long_are_refused(tmp_path: Path) -> None:
    model = resolve_model("tiny", ModelSettings(random="chat", random_seed=4, dtype="float32"))
    long = [{"prompt": "x" * 50, "chosen": "y", "rejected": "z"}]
    with pytest.raises(PersynError, match="train_reward_model.max_length = 16"):
        list(
            train_reward_model_job(
                long, model, TrainRewardModelSettings(max_length=16), 1, tmp_path
            )
        )
