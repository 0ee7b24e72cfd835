"""Students' scores by kind of prompt, on numbers worked out by hand."""

from persyn_kedro.domain.comparison.kinds import scores_by_kind
from persyn_kedro.domain.reporting.comparison_figures import kind_columns, kind_rows
from tests.unit.comparison.test_comparison import trials

KINDS = {"p0": "sums", "p1": "lists", "p2": "sums", "p3": "open"}


def test_scores_are_means_over_seeds_and_the_prompts_known_for_all() -> None:
    table = trials(
        {
            "untrained": [[0.0, 0.0, 1.0, None]],
            "persyn": [[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0]],
            "strong": [[None, 1.0, 0.0, None], [1.0, 1.0, 1.0, 0.0]],
        }
    )
    reasons = ["length" if i in (0, 4, 6) else "stop" for i in range(len(table))]
    place = table.schema.get_field_index("finish_reason")
    found = scores_by_kind(table.set_column(place, "finish_reason", [reasons]), KINDS)
    assert [(row["kind"], row["n"]) for row in found] == [("lists", 1), ("open", 0), ("sums", 1)]
    lists, open_, sums = found
    assert lists["scores"] == {"untrained": 0.0, "persyn": 0.5, "strong": 1.0}
    assert open_["scores"] == {"untrained": None, "persyn": None, "strong": None}
    assert sums["scores"] == {"untrained": 1.0, "persyn": 1.0, "strong": 0.5}  # p2 alone
    assert sums["truncated"] == {"untrained": 0.5, "persyn": 0.5, "strong": 0.0}

    comparison = {"kinds": found, "measure": "exact"}
    assert kind_columns(comparison) == ["kind", "prompts", "untrained", "persyn", "strong"]
    assert kind_rows(comparison) == [
        ["lists", "1", "0.0 % (0.0 %)", "50.0 % (0.0 %)", "100.0 % (0.0 %)"],
        ["open", "0", "– (0.0 %)", "– (0.0 %)", "– (0.0 %)"],
        ["sums", "1", "100.0 % (50.0 %)", "100.0 % (50.0 %)", "50.0 % (0.0 %)"],
    ]
