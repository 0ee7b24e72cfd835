"""A key that was renamed is read under its old name, with one warning."""

import pytest

from persyn_kedro.foundations.settings import renamed


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"route.max_price": "route.budget.max_cost", "judge.rubric": "label.rubric"}
    monkeypatch.setattr(renamed, "RENAMED", names)
    monkeypatch.setattr(renamed, "_warned", set())


def test_an_old_name_is_read_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    raw = {"seed": 1, "route": {"max_price": 5, "batch_size": 2}}
    for _ in range(2):
        found = renamed.with_new_names(raw)
        assert found == {"seed": 1, "route": {"batch_size": 2, "budget": {"max_cost": 5}}}
    assert raw["route"] == {"max_price": 5, "batch_size": 2}
    assert [record.getMessage() for record in caplog.records] == [
        "Parameter route.max_price is called route.budget.max_cost now; the old name will go."
    ]


def test_the_new_name_counts_if_both_are_given() -> None:
    raw = {"route": {"max_price": 5, "budget": {"max_cost": 7}}}
    assert renamed.with_new_names(raw) == {"route": {"budget": {"max_cost": 7}}}


def test_what_is_no_mapping_is_left_for_the_checks() -> None:
    assert renamed.with_new_names({"route": 3}) == {"route": 3}
    wrong = {"route": {"max_price": 5, "budget": 3}}
    assert renamed.with_new_names(wrong) == {"route": {"budget": 3}}


def test_a_key_may_move_to_a_group_that_is_not_given() -> None:
    assert renamed.with_new_names({"judge": {"rubric": "r"}}) == {
        "judge": {},
        "label": {"rubric": "r"},
    }
