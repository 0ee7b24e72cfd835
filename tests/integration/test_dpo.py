"""Training on preferences on a tiny random model: our ids, likelier chosen answers, a student."""

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from persyn_kedro.domain.student.arguments import dpo_arguments
from persyn_kedro.domain.student.dpo import pair_examples, prefer_job
from persyn_kedro.domain.student.library_checks import check_libraries_job
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.student import DpoSettings
from tests.support.trainings import tiny_student

PAIRS = [{"prompt": f"{i}+1?", "chosen": f"{i + 1}", "rejected": "No idea."} for i in range(4)]
SHORT = {"epochs": 4, "batch_size": 2, "learning_rate": 5e-3, "precision": "float32"}


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    return tiny_student(tmp_path_factory.mktemp("student") / "model")


def margin(model: Any, examples: list[dict[str, list[int]]]) -> float:
    """By how much the chosen answers are likelier than the rejected, in nats, written down anew."""
    import torch

    def logp(prompt: list[int], answer: list[int]) -> float:
        ids = torch.tensor([prompt + answer])
        with torch.no_grad():
            found = model(ids).logits[0, :-1].log_softmax(-1)
        return float(found[torch.arange(len(ids[0]) - 1), ids[0, 1:]][len(prompt) - 1 :].sum())

    sides = [
        logp(e["prompt_ids"], e["chosen_ids"]) - logp(e["prompt_ids"], e["rejected_ids"])
        for e in examples
    ]
    return sum(sides) / len(sides)


def test_the_ids_are_those_of_the_rendering(student: ResolvedModel) -> None:
    tokenizer = load_tokenizer(student)
    long = {"prompt": "a?", "chosen": "b", "rejected": "c" * 300}
    (*examples,) = pair_examples(tokenizer, [*PAIRS, long], 200)
    assert len(examples) == len(PAIRS)
    for pair, example in zip(PAIRS, examples, strict=True):
        assert tokenizer.decode(example["chosen_ids"]) == pair["chosen"] + "<|im_end|>"
        assert tokenizer.decode(example["rejected_ids"]) == pair["rejected"] + "<|im_end|>"
        assert pair["prompt"] in tokenizer.decode(example["prompt_ids"])


@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_chosen_answers_become_likelier_than_rejected_ones(
    lora: dict[str, Any] | None, student: ResolvedModel, tmp_path: Path
) -> None:
    settings = DpoSettings(**SHORT, lora=lora)
    first, *curve = prefer_job(PAIRS, student, settings, 1, tmp_path)
    assert first == {"left_out": 0}
    assert len(list(tmp_path.glob("checkpoints/reference-*.arrow"))) == 1  # not left in /tmp
    assert curve[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert curve[-1]["loss"] < curve[0]["loss"] and curve[-1]["accuracy"] == 1.0
    trained = ResolvedModel("t", tmp_path / "model", "t", student.settings)
    examples = pair_examples(load_tokenizer(trained), PAIRS, 200)
    before, after = (margin(load_causal_lm(m), examples) for m in (student, trained))
    assert after > before + 0.5
    origin = load_file(student.directory / "model.safetensors")
    assert load_file(tmp_path / "model/model.safetensors").keys() == origin.keys()


def test_an_interrupted_training_goes_on_against_the_same_reference(
    student: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    settings = DpoSettings(**SHORT, save_steps=3)
    whole = list(prefer_job(PAIRS, student, settings, 1, tmp_path / "whole"))
    save = transformers.Trainer._save_checkpoint

    def save_and_die(trainer: Any, *args: Any) -> None:
        save(trainer, *args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(transformers.Trainer, "_save_checkpoint", save_and_die)
        list(prefer_job(PAIRS, student, settings, 1, tmp_path / "work"))
    resumed = list(prefer_job(PAIRS, student, settings, 1, tmp_path / "work"))
    assert [row.get("loss") for row in resumed[1:]] == pytest.approx(
        [row["loss"] for row in whole[1:]], abs=1e-5
    )


def test_the_settings_reach_trl_and_are_checked(tmp_path: Path) -> None:
    own = {"loss_type": ["ipo"], "weight_decay": 0.1}
    made = dpo_arguments(DpoSettings(beta=0.3, trainer=own), 1, tmp_path, 4)
    assert (made.beta, made.loss_type, made.weight_decay) == (0.3, ["ipo"], 0.1)
    assert made.precompute_ref_log_probs
    with pytest.raises(PersynError, match=r"^Unknown parameter dpo\.trainer\.los_type: TRL's DPO"):
        list(check_libraries_job({"dpo": DpoSettings(trainer={"los_type": "ipo"})}, "float32"))
    pissa = DpoSettings(lora={"init_lora_weights": "pissa", "base": "float32"})
    with pytest.raises(PersynError, match="which are the reference here"):
        list(check_libraries_job({"dpo": pissa}, "float32"))
    with pytest.raises(ValueError, match="beta cannot be set here: set dpo.beta"):
        DpoSettings(trainer={"beta": 0.2})


def test_pairs_that_are_too_long_are_an_error(student: ResolvedModel, tmp_path: Path) -> None:
    settings = DpoSettings(max_length=16)
    with pytest.raises(PersynError, match=r"No preference fits in dpo\.max_length = 16"):
        list(prefer_job(PAIRS, student, settings, 1, tmp_path))
