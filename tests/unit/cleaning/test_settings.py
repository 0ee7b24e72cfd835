"""Settings of cleaning: what is refused before a run, and that the defaults clean nothing."""

from typing import Any

import pytest
from pydantic import ValidationError

from persyn_kedro.domain.cleaning import check_against, check_language
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.identities import against_identity
from persyn_kedro.foundations.settings.cleaning import AgainstSettings
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.prepare import CLEANING, PrepareSettings, cleans


def prepare(**chosen: Any) -> PrepareSettings:
    return PrepareSettings(source={"file": "p.jsonl"}, **chosen)


def test_the_defaults_clean_nothing_and_leave_records_as_they_were() -> None:
    assert not cleans([prepare()])
    assert not set(CLEANING) & lasting(prepare()).keys()
    assert not cleans([prepare(overlap={"words": 8}, language={"certainty": 0.5}, length={})])


@pytest.mark.parametrize(
    "chosen",
    [
        {"near_duplicates": {}},
        {"against": [{"hub": "openai/gsm8k"}]},
        {"language": {"keep": ["en"]}},
        {"length": {"max_words": 9}},
    ],
)
def test_each_kind_of_cleaning_counts(chosen: dict[str, Any]) -> None:
    assert cleans([prepare(**chosen)])
    assert chosen.keys() <= lasting(prepare(**chosen)).keys()


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"against": [{"file": "a", "hub": "b/c"}]}, "exactly one of file, hub and benchmark"),
        ({"against": [{}]}, "exactly one of file, hub and benchmark"),
        ({"against": [{"file": "a", "hub_split": "test"}]}, "hub_split is only for hub"),
        ({"against": [{"benchmark": "gsm8k", "column": "q"}]}, "column is only for file and hub"),
        ({"against": [{"file": "a", "include_path": "d"}]}, "include_path is only for a benchmark"),
        ({"length": {"min_words": 9, "max_words": 8}}, "min_words must not exceed max_words"),
        ({"near_duplicates": {"similarity": 0}}, "greater than 0"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(chosen: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        prepare(**chosen)


def test_an_unknown_language_and_a_missing_test_set_are_refused_before_a_run() -> None:
    with pytest.raises(PersynError, match=r"prepare\.language\.keep: unknown language 'english'"):
        check_language(prepare(language={"keep": ["en", "english"]}))
    check_language(prepare(language={"keep": ["en", "de", "zh"]}))
    with pytest.raises(PersynError, match="The test set none.jsonl does not exist"):
        check_against(prepare(against=[{"file": "none.jsonl"}]))
    with pytest.raises(PersynError, match="include_path 'none' is not a directory"):
        check_against(prepare(against=[{"benchmark": "mine", "include_path": "none"}]))


def test_the_content_of_a_test_set_is_in_the_record(tmp_path: Any) -> None:
    (tmp_path / "tests.jsonl").write_text('{"prompt": "a"}\n')
    own = AgainstSettings(file=str(tmp_path / "tests.jsonl"))
    before = against_identity(own)
    (tmp_path / "tests.jsonl").write_text('{"prompt": "b"}\n')
    assert before and against_identity(own) != before
    assert "lm-eval" in against_identity(AgainstSettings(benchmark="gsm8k"))
