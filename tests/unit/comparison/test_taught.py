"""How good training answers are, on numbers worked out by hand."""

import pyarrow as pa

from persyn_kedro.domain.comparison.taught import taught_by_kind
from persyn_kedro.domain.reporting.comparison_figures import taught_columns, taught_rows

KINDS = {"p0": "sums", "p1": "sums", "p2": "sums", "p3": "lists", "p4": "open"}
# By strategy: (prompt, quality, whether it is an example)
ANSWERS = {
    "persyn": [("p0", 1.0, True), ("p1", 0.0, True), ("p2", 1.0, False), ("p3", 0.0, True)],
    "strong": [("p0", 1.0, True), ("p1", 1.0, True), ("p2", 1.0, True), ("p4", None, True)],
    "car": [("p4", None, True)],
}


def test_the_quality_of_examples_is_known_by_kind() -> None:
    responses = [
        {"strategy": name, "prompt_id": p, "response_key": f"{name} {p}", "quality": q}
        for name, own in ANSWERS.items()
        for p, q, _ in own
    ]
    used = {f"{name} {p}" for name, own in ANSWERS.items() for p, _, example in own if example}
    examples = [row for row in responses if row["response_key"] in used]
    found = taught_by_kind(pa.Table.from_pylist(examples), pa.Table.from_pylist(responses), KINDS)
    assert found == {
        "persyn": {"lists": {"known": 1, "quality": 0.0}, "sums": {"known": 2, "quality": 0.5}},
        "strong": {"sums": {"known": 3, "quality": 1.0}},
        "car": {},
    }
    comparison = {"taught": found, "measure": "exact"}
    assert taught_columns(comparison) == ["kind", "persyn", "strong"]
    assert taught_rows(comparison) == [
        ["all", "33.3 %", "100.0 %"],
        ["lists", "0.0 %", "–"],
        ["sums", "50.0 %", "100.0 %"],
    ]
    nothing = {"taught": {"car": {}}, "measure": "exact"}
    assert taught_columns(nothing) == ["kind"]
