"""Fine-tuning on a tiny random model: our labels, a falling loss, a directory that loads."""

from pathlib import Path

import pytest

from persyn_kedro.domain.student.sft import train_student_job, training_examples
from persyn_kedro.foundations.loading import load_tokenizer
from persyn_kedro.foundations.parameters import LoraSettings, ModelSettings, SftSettings
from persyn_kedro.foundations.random_models import make_random_model
from persyn_kedro.foundations.weights import ResolvedModel

ROWS = [{"prompt": f"{i}+1?", "response": f"<think>x</think>{i + 1}"} for i in range(4)]


@pytest.fixture(params=["chat", "base"])
def student(request: pytest.FixtureRequest, tmp_path: Path) -> ResolvedModel:
    make_random_model(tmp_path / "model", request.param, 5)
    settings = ModelSettings(random=request.param, dtype="float32")
    return ResolvedModel("tiny", tmp_path / "model", f"random:{request.param}", settings)


def test_labels_are_the_visible_response_and_the_end_of_turn(student: ResolvedModel) -> None:
    tokenizer = load_tokenizer(student)
    examples = training_examples(tokenizer, ROWS, student, None, 512)
    assert len(examples) == len(ROWS)
    for row, example in zip(ROWS, examples, strict=True):
        trained = [token for token in example["labels"] if token != -100]
        visible = row["response"].split("</think>")[1]
        assert tokenizer.decode(trained) == visible + "<|im_end|>"
        assert example["input_ids"][-len(trained) :] == trained


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)])
def test_training_lowers_the_loss_and_saves_a_loadable_student(
    student: ResolvedModel, tmp_path: Path, lora: LoraSettings | None
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    settings = SftSettings(
        epochs=20, batch_size=4, learning_rate=0.02, precision="float32", lora=lora, max_length=200
    )
    long = {"prompt": "x" * 300, "response": "y"}
    items = list(train_student_job([*ROWS, long], student, None, settings, 1, tmp_path / "work"))
    assert items[0] == {"left_out": 1}
    assert items[-1]["loss"] < 0.7 * items[1]["loss"]
    directory = tmp_path / "work" / "model"
    tokenizer = AutoTokenizer.from_pretrained(directory)
    assert tokenizer.chat_template == student.chat_template
    trained = AutoModelForCausalLM.from_pretrained(directory)
    origin = AutoModelForCausalLM.from_pretrained(student.directory)
    assert trained.state_dict().keys() == origin.state_dict().keys()
    assert not list(directory.glob("adapter*"))
