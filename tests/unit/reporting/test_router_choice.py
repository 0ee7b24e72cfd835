"""What the report and the terminal say of how a router chose itself and how sure it is."""

from typing import Any

import pytest

from persyn_kedro.domain.reporting.explanation_figures import certainty_words, choice_words
from persyn_kedro.domain.reporting.page import report_page
from persyn_kedro.domain.reporting.summary import clear_choices
from persyn_kedro.domain.reporting.terminal_report import terminal_table
from persyn_kedro.domain.routers.explained import Explanation, ScoredTeacher
from persyn_kedro.foundations.tables import schemas
from tests.unit.reporting.test_report import answered, make_summary, table

ESTIMATE = {"value": 0.149, "interval": [0.1, 0.2], "standard_error": 0.02}
BETTER = {"value": -0.059, "interval": [-0.107, -0.007], "standard_error": 0.02}
NONE = {"value": 0.0, "interval": [0.0, 0.0], "standard_error": 0.0}
SELECTION: dict[str, Any] = {
    "chosen": "near <1>",
    "because": "best",
    "n": 60,
    "folds": 5,
    "confidence": 0.95,
    "candidates": {
        "constant": {"regret": ESTIMATE, "to_constant": NONE},
        "near <1>": {"regret": ESTIMATE, "to_constant": BETTER},
    },
    "nested": {"regret": ESTIMATE, "to_constant": BETTER},
    "chosen_in_folds": {"near <1>": 4, "constant": 1},
}


def summary(**changes: Any) -> dict[str, Any]:
    found = make_summary()
    return {**found, "router": {**found["router"], **changes}}


def test_the_page_and_the_terminal_say_which_won_by_how_much_and_how_sure_it_is() -> None:
    found = summary(selection=SELECTION, certain=0.25)
    text = " ".join(terminal_table(found).split())
    assert "near <1> 0.149 [0.100, 0.200] -0.059 [-0.107, -0.007]" in text
    assert "The near <1> router won among constant, near <1>, and in 4 of 5 folds." in text
    assert "by -0.059 [-0.107, -0.007] against always choosing the best teacher (95.0 %" in text
    assert "For 25.0 % of the prompts the chosen teacher's score exceeds the second's" in text
    page = report_page(found, answered({}))
    assert "near &lt;1&gt;" in page and "near <1>" not in page
    assert "chosen anew" in page and "For 25.0 % of the prompts" in page
    plain = report_page(summary(), answered({}))
    assert "chosen anew" not in plain and "standard error" not in plain


@pytest.mark.parametrize(
    ("because", "told"),
    [
        ("constant", "No candidate beats always choosing the best teacher, so the constant routes"),
        ("insisted", "routes because train_router.insist names it."),
    ],
)
def test_other_reasons_are_said(because: str, told: str) -> None:
    found = summary(selection={**SELECTION, "because": because})
    assert told in " ".join(terminal_table(found).split())


def test_a_choice_is_clear_if_it_leads_by_twice_the_error_of_the_difference() -> None:
    rows = [  # the two best scores' errors together are 0.5
        {"scores": [1.0, 2.5, -9.0], "margin": 1.5, "standard_errors": [0.3, 0.4, 9.0]},
        {"scores": [1.5, 2.0, -9.0], "margin": 0.5, "standard_errors": [0.3, 0.4, 9.0]},
        {"scores": [1.0, 0.0, 0.5], "margin": 0.5, "standard_errors": None},
    ]
    assert clear_choices(table(rows, schemas.ASSIGNMENTS)) == {"certain": 0.5}
    assert clear_choices(table(rows[2:], schemas.ASSIGNMENTS)) == {}
    older = table(rows, schemas.ASSIGNMENTS).drop_columns("standard_errors")
    assert clear_choices(older) == {}


def explained(kind: str, errors: tuple[float | None, float | None], **router: Any) -> Explanation:
    teachers = [
        ScoredTeacher(name, score, error)
        for name, score, error in zip("ab", (0.9, 0.4), errors, strict=True)
    ]
    about = {"kind": kind, "backbone": "tiny", "n_fit": 9, "invalid": "lose", **router}
    return Explanation("p", "?", None, None, None, False, about, teachers, [])


def test_a_lead_is_said_to_be_sure_or_not() -> None:
    assert certainty_words(explained("knn", (None, None))) == ""
    words = certainty_words(explained("knn", (0.03, 0.04)))
    assert words.startswith("The two scores' standard errors together are 0.050: the lead is more")
    assert "no more than twice" in certainty_words(explained("knn", (0.3, 0.4)))


@pytest.mark.parametrize(
    ("kind", "loss", "words"),
    [
        ("linear", None, "that a ridge regression predicts"),
        ("mlp", None, "that a small network predicts"),
        ("linear", "weighted", "in log-odds (Bradley-Terry)"),
        ("linear", "softmax_regret", "What a margin means depends on the loss softmax_regret."),
        ("task_type", None, "the mean true reward of the task's prompts"),
        ("ensemble", None, "in standard deviations"),
        ("mine.py:R", None, "What a margin means depends on this custom router."),
    ],
)
def test_a_margin_is_explained_by_kind_and_loss(kind: str, loss: str | None, words: str) -> None:
    router = {"loss": loss} if loss else {}
    assert words in choice_words(explained(kind, (0.1, 0.1), **router))


def test_the_learning_curve_and_what_more_calibration_would_save_are_told() -> None:
    told = "Twice the calibration prompts (9 more answers) <b>"
    curve = [{"fitted_on": 24.4, "regret": ESTIMATE}, {"fitted_on": 96.0, "regret": ESTIMATE}]
    found = summary(learning={"kind": "knn", "curve": curve, "doubling": told})
    text = " ".join(terminal_table(found).split())
    assert "24 0.149 [0.100, 0.200] 96 0.149 [0.100, 0.200]" in text
    assert told in text
    page = report_page(found, answered({}))
    assert "9 more answers) &lt;b&gt;" in page and "calibration prompts</th>" in page
    assert "calibration prompts</th>" not in report_page(summary(), answered({}))
