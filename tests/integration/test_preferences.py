"""The exported preferences: ``datasets`` finds them beside the training set, TRL trains on them."""

from pathlib import Path

import pyarrow as pa

from persyn_kedro.datasets.export_directory import ExportDirectory
from persyn_kedro.domain.export.dataset import dataset_card
from persyn_kedro.domain.export.preferences import PREFERENCES_FILE
from persyn_kedro.domain.export.rows import FILES, splits_of
from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
from persyn_kedro.foundations.tables import schemas
from tests.integration.test_export import FACTS, sft_dataset
from tests.support.trainings import tiny_student

TOLD = [{"role": "system", "content": "Be exact."}, {"role": "user", "content": "2 + 2?"}]
PAIR = {
    "prompt": TOLD,
    "chosen": [{"role": "assistant", "content": "It is 4."}],
    "rejected": [{"role": "assistant", "content": "5"}],
    "margin": 0.8,
    "score_chosen": 1.0,
    "score_rejected": 0.2,
    "teacher_chosen": "a",
    "teacher_rejected": "b",
    "response_key_chosen": "1" * 32,
    "response_key_rejected": "2" * 32,
    "prompt_id": "3" * 32,
}


def test_trl_trains_on_the_pairs_that_datasets_finds(tmp_path: Path) -> None:
    import torch
    from datasets import load_dataset
    from trl import DPOConfig, DPOTrainer

    about = {"rows": 2, "prompts": 1, "by": "quality", "pairs": "all", "min_margin": 0.5}
    card = dataset_card({**FACTS, "preferences": about})
    assert "2 pairs of a better and a worse answer to one of 1 calibration prompts" in card
    assert "that differ in quality" in card and "by at least 0.5" in card
    pairs = pa.Table.from_pylist([PAIR, PAIR], schemas.PREFERENCES).to_reader()
    entry = ExportDirectory(filepath=str(tmp_path / "version" / "dataset"))
    rows = {FILES[split]: rows for split, rows in splits_of(sft_dataset()).items()}
    entry.save({"README.md": card, PREFERENCES_FILE: pairs, **rows})
    cache = str(tmp_path / "cache")
    assert len(load_dataset(str(entry.load()), cache_dir=cache)["train"]) == 2
    data = load_dataset(str(entry.load()), "preferences", split="train", cache_dir=cache)
    assert list(data) == [PAIR, PAIR]
    student = tiny_student(tmp_path / "model")
    model, tokenizer = load_causal_lm(student), load_tokenizer(student)
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(str(tmp_path / "out"), max_steps=1, report_to="none", use_cpu=True,
                       learning_rate=1e-2, warmup_steps=0),
        train_dataset=data,
        processing_class=tokenizer,
    )  # fmt: skip
    item = trainer.train_dataset[0]
    shown = [tokenizer.decode(item[f"{name}_ids"]) for name in ("prompt", "chosen", "rejected")]
    assert "Be exact." in shown[0] and shown[0].endswith("<|im_start|>assistant\n")
    assert shown[1].startswith("It is 4.<|im_end|>") and shown[2].startswith("5<|im_end|>")
    trainer.train()
    after = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
    assert not torch.equal(before, after.cpu())
