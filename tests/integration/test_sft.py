"""Fine-tuning on a tiny random model: our labels, a falling loss, a directory that loads."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from persyn_kedro.domain.student import sft
from persyn_kedro.domain.student.packed import summed_cross_entropy
from persyn_kedro.domain.student.sft import train_student_job, training_examples
from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.models.rendering import end_of_turn_ids
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.progress import step
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.student import SftSettings, StudentLoraSettings

ROWS = [{"prompt": f"{i}+1?", "response": f"{i + 1}"} for i in range(4)]


@pytest.fixture(params=["chat", "base"])
def student(request: pytest.FixtureRequest, tmp_path: Path) -> ResolvedModel:
    make_random_model(tmp_path / "model", request.param, 5)
    settings = ModelSettings(random=request.param, dtype="float32")
    return ResolvedModel("tiny", tmp_path / "model", f"random:{request.param}", settings)


def nll_of_labels(model: Any, examples: list[dict[str, list[int]]]) -> float:
    """Mean NLL over all tokens with a label, written down anew."""
    import torch

    total, count = 0.0, 0
    for example in examples:
        with torch.no_grad():
            logp = model(torch.tensor([example["input_ids"]])).logits[0].log_softmax(-1)
        for position, label in enumerate(example["labels"]):
            if label != -100:
                total, count = total - float(logp[position - 1, label]), count + 1
    return total / count


def test_labels_are_the_response_and_the_end_of_turn(student: ResolvedModel) -> None:
    tokenizer = load_tokenizer(student)
    examples = training_examples(tokenizer, ROWS, None, 512)
    assert len(examples) == len(ROWS)
    for row, example in zip(ROWS, examples, strict=True):
        trained = [token for token in example["labels"] if token != -100]
        assert tokenizer.decode(trained) == row["response"] + "<|im_end|>"
        assert example["input_ids"][-len(trained) :] == trained


@pytest.mark.parametrize("lora", [None, StudentLoraSettings(rank=4)])
def test_training_lowers_the_loss_and_saves_a_loadable_student(
    student: ResolvedModel,
    tmp_path: Path,
    lora: StudentLoraSettings | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    settings = SftSettings(
        epochs=20, batch_size=4, learning_rate=0.02, precision="float32", lora=lora, max_length=200
    )
    long = {"prompt": "x" * 300, "response": "y"}
    caplog.set_level("INFO", "persyn_kedro.foundations.progress")
    with step("sft"):
        job = train_student_job([*ROWS, long], student, None, settings, 1, tmp_path / "work")
        items = list(job)
    assert items[0] == {"left_out": 1}
    assert items[1].keys() == {"step", "epoch", "loss", "learning_rate"}
    assert items[-1]["loss"] < 0.7 * items[1]["loss"]
    directory = tmp_path / "work" / "model"
    tokenizer = AutoTokenizer.from_pretrained(directory)
    assert tokenizer.chat_template == student.chat_template
    trained = AutoModelForCausalLM.from_pretrained(directory)
    origin = AutoModelForCausalLM.from_pretrained(student.directory)
    assert trained.state_dict().keys() == origin.state_dict().keys()
    assert not list(directory.glob("adapter*"))
    assert trained.dtype == origin.dtype
    examples = training_examples(tokenizer, ROWS, None, 200)
    tokens = 20 * sum(len(example["input_ids"]) for example in examples)
    assert re.search(rf": 20 training steps \(.*/s\), {tokens:,} tokens \(", caplog.text)
    assert nll_of_labels(trained, examples) < 0.7 * nll_of_labels(origin, examples)  # merged too


@pytest.mark.parametrize("precision", ["float32", "bfloat16_autocast"])
def test_the_labels_alone_reach_the_loss(
    student: ResolvedModel, tmp_path: Path, precision: str
) -> None:
    examples = training_examples(load_tokenizer(student), ROWS, None, 512)
    expected = nll_of_labels(load_causal_lm(student), examples)
    whole = [{**example, "labels": example["input_ids"]} for example in examples]
    assert abs(nll_of_labels(load_causal_lm(student), whole) - expected) > 0.1
    settings = SftSettings(epochs=1, batch_size=2, gradient_accumulation=2, precision=precision)
    _, first = train_student_job(ROWS, student, None, settings, 1, tmp_path / "work")
    assert first["loss"] == pytest.approx(expected, abs=1e-4 if precision == "float32" else 0.02)


@pytest.mark.parametrize("lora", [None, StudentLoraSettings(rank=4)])
@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_packed_rows_train_as_padded_batches_do(
    student: ResolvedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lora: StudentLoraSettings | None,
    gradient_checkpointing: bool,
) -> None:
    """The same losses and weights as TRL's own collator, attention and loss give."""
    rows = [*ROWS, {"prompt": "A longer one?", "response": "And a longer answer to it, too."}]
    settings = SftSettings(
        epochs=3, batch_size=3, gradient_accumulation=2, learning_rate=1e-3, precision="float32",
        lora=lora, gradient_checkpointing=gradient_checkpointing,
    )  # fmt: skip
    packed = list(train_student_job(rows, student, None, settings, 1, tmp_path / "packed"))
    monkeypatch.setattr(sft, "packable", lambda model: False)
    padded = list(train_student_job(rows, student, None, settings, 1, tmp_path / "padded"))
    losses = [[item["loss"] for item in items[1:]] for items in (packed, padded)]
    assert losses[0] == pytest.approx(losses[1], abs=2e-4)
    weights = [load_file(tmp_path / w / "model/model.safetensors") for w in ("packed", "padded")]
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).abs().max() < 1e-3, name
    config = json.loads((tmp_path / "packed/model/config.json").read_text())
    assert "persyn" not in json.dumps(config)  # its attention is ours while it trains only


def test_the_summed_loss_is_pytorchs(student: ResolvedModel) -> None:
    import torch

    logits, targets = torch.randn(130, 40), torch.randint(0, 40, (130,))
    ours, plain = (logits.clone().requires_grad_() for _ in range(2))
    loss = summed_cross_entropy(ours * 1.0, targets)
    expected = torch.nn.functional.cross_entropy(plain, targets, reduction="sum")
    (loss * 0.5).backward()
    (expected * 0.5).backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(ours.grad, plain.grad)


def test_the_saved_student_stops_at_the_end_of_turn(tmp_path: Path) -> None:
    """Also where the tokenizer's end of text is another token, as in Qwen's base models."""
    make_random_model(tmp_path / "model", "chat", 5)
    for name in ("tokenizer_config.json", "generation_config.json"):
        path = tmp_path / "model" / name
        key, end = ("eos_token", "<|bos|>") if name.startswith("tok") else ("eos_token_id", 256)
        path.write_text(json.dumps({**json.loads(path.read_text()), key: end}))
    settings = ModelSettings(random="chat", dtype="float32")
    student = ResolvedModel("tiny", tmp_path / "model", "random", settings)
    list(train_student_job(ROWS, student, None, SftSettings(epochs=1), 1, tmp_path / "work"))
    tokenizer = load_tokenizer(student)
    assert (tokenizer.eos_token_id, end_of_turn_ids(tokenizer)) == (256, [258])
    saved = json.loads((tmp_path / "work" / "model" / "generation_config.json").read_text())
    assert saved["eos_token_id"] == [258, 256]


@pytest.mark.parametrize(
    ("left", "save_steps"), [(None, None), ("nothing", None), ("half", None), (None, 1)]
)
def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    student: ResolvedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    left: str | None,
    save_steps: int | None,
) -> None:
    """With ``save_steps``, it is interrupted in the middle of an epoch.

    Nothing or half may be left of the file that the trainer writes last.
    """
    import transformers

    settings = SftSettings(epochs=3, batch_size=2, precision="float32", save_steps=save_steps)
    whole = list(train_student_job(ROWS, student, None, settings, 1, tmp_path / "whole"))
    save = transformers.Trainer._save_checkpoint

    def save_and_die(trainer: Any, *args: Any, **kwargs: Any) -> None:
        save(trainer, *args, **kwargs)
        last = next(Path(trainer.args.output_dir).glob("checkpoint-*/trainer_state.json"))
        if left == "nothing":
            last.unlink()
        elif left == "half":
            last.write_text(last.read_text()[: last.stat().st_size // 2])
        assert trainer.state.global_step == (save_steps or 2)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(transformers.Trainer, "_save_checkpoint", save_and_die)
        list(train_student_job(ROWS, student, None, settings, 1, tmp_path / "work"))
    resumed = list(train_student_job(ROWS, student, None, settings, 1, tmp_path / "work"))
    assert [row.get("step") for row in resumed] == [row.get("step") for row in whole]
    losses = [row["loss"] for row in whole[1:]]
    assert [row["loss"] for row in resumed[1:]] == pytest.approx(losses, abs=1e-5)


@pytest.mark.parametrize(("lora", "epochs"), [(None, 1.5), (StudentLoraSettings(rank=4), 2)])
def test_a_student_that_could_not_be_saved_is_not_trained_again(
    student: ResolvedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lora: StudentLoraSettings | None,
    epochs: float,
) -> None:
    """Its last checkpoint is enough for that, without the optimizer that the others have."""
    import transformers

    settings = SftSettings(
        epochs=epochs, batch_size=2, warmup_fraction=0, precision="float32", lora=lora
    )
    whole = list(train_student_job(ROWS, student, None, settings, 1, tmp_path / "whole"))
    saved = {}
    save = transformers.Trainer._save_checkpoint

    def save_checkpoint(trainer: Any, *args: Any, **kwargs: Any) -> None:
        save(trainer, *args, **kwargs)
        (checkpoint,) = Path(trainer.args.output_dir).glob("checkpoint-*")
        saved[checkpoint.name] = (checkpoint / "optimizer.pt").exists()

    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(transformers.Trainer, "_save_checkpoint", save_checkpoint)
        patch.setattr(sft, "save_student", lambda *_: (_ for _ in ()).throw(OSError("full")))
        list(train_student_job(ROWS, student, None, settings, 1, tmp_path / "work"))
    assert saved == {"checkpoint-2": True, f"checkpoint-{epochs * 2:.0f}": False}
    with monkeypatch.context() as patch:
        patch.setattr(transformers.Trainer, "training_step", lambda *_: pytest.fail("trained"))
        resumed = list(train_student_job(ROWS, student, None, settings, 1, tmp_path / "work"))
    assert resumed == whole
    weights = [load_file(tmp_path / w / "model/model.safetensors") for w in ("whole", "work")]
    assert weights[0].keys() == weights[1].keys()
    assert all((tensor == weights[1][name]).all() for name, tensor in weights[0].items())


def test_a_checkpoint_of_an_earlier_version_is_not_gone_on_from(
    student: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = set()
    for version in (1, 2):
        monkeypatch.setattr(sft, "VERSION", version)
        list(train_student_job(ROWS, student, None, SftSettings(epochs=1), 1, tmp_path))
        marks.add((tmp_path / "checkpoints" / "fingerprint").read_text())
    assert len(marks) == 2
