"""What nodes leave out or cannot use is counted or named in the log."""

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.pipelines.label import nodes as label_nodes


def dataset(rows: list[dict], schema: pa.Schema) -> pads.Dataset:
    return pads.dataset(pa.Table.from_pylist(rows, schema))


def test_a_teacher_whose_answers_are_all_empty_is_named(caplog: pytest.LogCaptureFixture) -> None:
    responses, statistics, quality = [], [], []
    for prompt_id in "pq":
        for teacher, text, tokens in (("full", "yes", 2), ("empty", "", 0)):
            place = {
                "prompt_id": prompt_id,
                "teacher": teacher,
                "response_key": prompt_id + teacher,
                "sample_index": 0,
            }
            responses.append({**place, "response": text, "finish_reason": "stop"})
            statistics.append({**place, "tokens": tokens, "sum_logp": -1.0 if tokens else None})
            quality.append({**place, "quality": 0.0})
    rewards = label_nodes.normalise_rewards(
        dataset(responses, schemas.RESPONSES),
        dataset(statistics, schemas.TOKEN_STATISTICS),
        dataset(quality, schemas.QUALITY),
        Teachers({"full": {"model": "m"}, "empty": {"model": "m", "system": "!"}}),
        LabelSettings(),
    )
    assert rewards["valid"].to_pylist() == [True, False, True, False]
    assert "Teacher empty has no valid response" in caplog.text
    assert "Teacher full" not in caplog.text
