"""Keys of credentials.yml become variables, unless they are left blank."""

import os

import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.runs.hooks import _export_keys


def test_a_key_is_exported_and_what_the_user_exported_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIRS", "theirs")
    for name in ("OURS", "NUMBER", "BLANK"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    endpoints = {"THEIRS": "ours", "OURS": "ours", "NUMBER": 7, "BLANK": None}
    _export_keys({"credentials": {"endpoints": endpoints}})
    assert [os.environ.get(name) for name in endpoints] == ["theirs", "ours", "7", None]


@pytest.mark.parametrize("credentials", [{}, {"endpoints": None}, {"endpoints": {}}])
def test_there_may_be_none(credentials: dict) -> None:
    before = dict(os.environ)
    _export_keys({"credentials": credentials})
    assert dict(os.environ) == before


def test_what_is_no_mapping_is_refused_and_not_shown() -> None:
    with pytest.raises(PersynError, match="^credentials.yml: endpoints must be a mapping, such"):
        _export_keys({"credentials": {"endpoints": "s3cret"}})
