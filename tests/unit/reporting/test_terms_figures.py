"""The report's line for each term of quality."""

import pyarrow as pa

from persyn_kedro.domain.reporting.terms_figures import term_columns, term_rows, terms_summary
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.tables.schemas import QUALITY_TERMS

TERMS = LabelSettings.model_validate(
    {"quality": [{"kind": "code", "weight": 2}, {"kind": "exact_answer", "name": "right"}]}
).terms


def test_each_term_has_its_weight_share_of_known_answers_and_means() -> None:
    qualities = {"code": {"a": [0.5, None], "b": [1.0, 0.25]}, "right": {"a": [1.0, 0.0]}}
    rows = [
        {"term": term, "teacher": teacher, "prompt_id": f"{n}", "quality": quality,
         "response_key": f"{teacher}{n}", "sample_index": 0}
        for term, by_teacher in qualities.items()
        for teacher, own in by_teacher.items()
        for n, quality in enumerate(own)
    ]  # fmt: skip
    found = terms_summary(pa.Table.from_pylist(rows, QUALITY_TERMS), TERMS, ["a", "b"])
    assert term_columns(found) == ["term of quality", "weight", "known", "a", "b"]
    assert [row[:3] for row in term_rows(found)] == [
        ["code", "2", "75.0 %"], ["right", "1", "100.0 %"],
    ]  # fmt: skip
    assert [term["means"] for term in found] == [{"a": 0.5, "b": 0.625}, {"a": 0.5, "b": None}]
