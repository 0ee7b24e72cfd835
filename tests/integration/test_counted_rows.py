"""What nodes leave out or cannot use is counted or named in the log."""

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.student import SftSettings, StudentSettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.pipelines.sft import nodes as sft_nodes


def dataset(rows: list[dict], schema: pa.Schema) -> pads.Dataset:
    return pads.dataset(pa.Table.from_pylist(rows, schema))


def test_training_rows_that_are_too_long_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The million-character prompt is rendered for real; the training itself is left out."""
    from persyn_kedro.domain.student import sft
    from persyn_kedro.foundations.models.load import load_tokenizer

    def train_together(function, rows, student, system, settings, *_, **__):  # type: ignore[no-untyped-def]
        kept = sft.training_examples(load_tokenizer(student), rows, system, settings.max_length)
        yield {"left_out": len(rows) - len(kept)}

    monkeypatch.setattr(sft_nodes, "train_together", train_together)
    rows = [
        {
            "prompt": [{"role": "user", "content": prompt}],
            "completion": [{"role": "assistant", "content": "yes"}],
            "prompt_id": str(number),
            "part": "sft",
        }
        for number, prompt in enumerate(["a?", "b?", "z" * 1_000_000])
    ]
    curve, _ = sft_nodes.train_student(
        dataset(rows, schemas.SFT_DATASET),
        Models({"m": ModelSettings(random="chat")}),
        StudentSettings(model="m"),
        SftSettings(max_length=256),
        0,
        tmp_path,
    )
    assert curve == [{"left_out": 1}]
    assert "Left out 1 of 3 training rows, longer than sft.max_length = 256 tokens" in caplog.text
