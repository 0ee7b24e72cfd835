"""Calibration answers of two teachers, for rewards that can be worked out by hand."""

import pyarrow as pa

from persyn_kedro.domain.comparison.strategies.labelled import Labelled
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.tables import schemas


def labelled(answers, **label):
    """Return them from {prompt: {teacher: (quality, tokens, sum_logp, sum_rank)}}."""
    responses, statistics, quality = [], [], []
    for prompt, own in answers.items():
        for teacher, (q, tokens, sum_logp, rank) in own.items():
            row = {"prompt_id": text_id(prompt), "teacher": teacher, "sample_index": 0,
                   "response_key": text_id(prompt + teacher)}  # fmt: skip
            responses.append({**row, "response": f"{teacher} says", "finish_reason": "stop"})
            sums = {"sum_p2": tokens / 2, "sum_p_true": tokens / 2, "logp": [-1.0] * tokens}
            statistics.append(
                {**row, "tokens": tokens, "sum_logp": sum_logp, "sum_rank_100": rank, **sums}
            )
            quality.append({**row, "quality": q})
    tables = (
        pa.Table.from_pylist(rows, schema)
        for rows, schema in (
            (responses, schemas.RESPONSES),
            (statistics, schemas.TOKEN_STATISTICS),
            (quality, schemas.QUALITY),
        )
    )
    return Labelled(*tables, ["a", "b"], LabelSettings(**label))
