"""Credentials are in nothing that is written: settings, records, sentences and messages."""

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from persyn_kedro.cli.params import parse_params
from persyn_kedro.domain.export.origins import spoken_source
from persyn_kedro.domain.teachers import Ledger
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.secrets import (
    hide,
    hide_in_messages,
    hide_in_urls,
    login_of,
    without_credentials,
)
from persyn_kedro.foundations.settings import PromptSource, read_settings
from persyn_kedro.runs import fingerprints, lineage
from persyn_kedro.runs.manifest import ManifestHooks
from persyn_kedro.runs.measurements import parameters_of
from tests.support.settings import SHORTEST

LOGIN = "me:s3cret"
VARIABLE = ["s3cret\0", "s3cret\ud800", frozenset(["s3cret"])]  # none that may be set


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"http://{LOGIN}@h:5000/x", "http://***@h:5000/x"),
        (f"at sftp://{LOGIN}@h/a, then ftp://s3cret@h.", "at sftp://***@h/a, then ftp://***@h."),
        ("http://me:s3cret@more@h/", "http://***@h/"),
        ("https://h/a?x=1&X-Amz-Signature=s3cret&y=2#z",
         "https://h/a?x=1&X-Amz-Signature=***&y=2#z"),
        ("https://h/a?sv=1&sig=s3cret", "https://h/a?sv=1&sig=***"),
        ("https://h/a?access_token=s3cret", "https://h/a?access_token=***"),
        ("https://h/a?pwd=s3cret&auth=s3cret", "https://h/a?pwd=***&auth=***"),
        ("s3://bucket/some@where/f.jsonl", "s3://bucket/some@where/f.jsonl"),
        ("https://h/p?monkeys=3&to=a@b", "https://h/p?monkeys=3&to=a@b"),
        ("Mail me@h about key=s3cret", "Mail me@h about key=s3cret"),
    ],
)  # fmt: skip
def test_credentials_in_urls_are_hidden_and_nothing_else(text: str, left: str) -> None:
    assert without_credentials(text) == left


@pytest.mark.parametrize("part", ["a", "a-", "a://", "a://b@", "?a", "a://b?key"])
def test_a_text_of_a_million_characters_is_read_once(part: str) -> None:
    """One that is read again from each character takes hours."""
    text = part * (10**6 // len(part))
    found = without_credentials(f"{text} http://{LOGIN}@h")
    assert found.endswith(" http://***@h")


def test_settings_are_hidden_at_any_depth_and_variables_as_a_whole() -> None:
    given = {"a": [{"uri": f"http://{LOGIN}@h"}, 1, None], "env_vars": {"TOKEN": "s3cret"}}
    left = {"a": [{"uri": "http://***@h"}, 1, None], "env_vars": {"TOKEN": "***"}}
    assert hide(given) == left


def test_an_identity_loses_credentials_only_where_all_of_it_is_a_url() -> None:
    said = f"See http://{LOGIN}@h."
    given = {"file": f"https://{LOGIN}@h/p.jsonl", "system": said}
    assert hide_in_urls(given) == {"file": "https://***@h/p.jsonl", "system": said}


def test_a_login_is_split_off() -> None:
    assert login_of("http://me:a%40b@h:5/p") == ("http://h:5/p", "me", "a%40b")
    assert login_of("http://h:5/p") == ("http://h:5/p", None, None)
    for store in ("sqlite:///a.db", "postgresql://me:s3cret@h:5/db", "mysql+pymysql://me:a@h/db"):
        assert login_of(store) == (store, None, None)


def test_records_and_trackers_get_a_file_s_address_without_its_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def prepare_prompts(prepare: Any) -> None:
        """Stand in for a node."""

    for name in ("source_identity", "against_identity"):
        monkeypatch.setattr(fingerprints, name, lambda _: None)
    prepare = {**SHORTEST["prepare"], "against": [{"file": f"sftp://{LOGIN}@h/p.jsonl"}]}
    settings = read_settings({**SHORTEST, "prepare": prepare})
    found = parameters_of(Pipeline([node(prepare_prompts, "params:prepare", "x")]), settings)
    groups = {"prepare": ("prepare", settings.prepare)}
    record = fingerprints.reading(prepare_prompts, groups, {}, lambda *_: {})
    for written in (str(found), str(record)):
        assert "sftp://***@h/p.jsonl" in written and "s3cret" not in written


@pytest.mark.parametrize(
    "raw",
    [
        {"models": {"a": {"endpoint": {"url": f"https://{LOGIN}@h/v1", "model": "m"}}}},
        {"models": {"a": {"endpoint": {"url": "https://h/v1?api_key=s3cret", "model": "m"}}}},
        {"cluster": {"address": f"ray://{LOGIN}@h:1"}},
        {"tracking": {"mlflow": {"uri": [f"https://{LOGIN}@h"]}}},
        {"tracking": {"to": [f"https://{LOGIN}@h"]}},
        *({"cluster": {"runtime_env": {"env_vars": {"TOKEN": value}}}} for value in VARIABLE),
        {"cluster": {"runtime_env": {"env_vars": "TOKEN=s3cret"}}},
    ],
)
def test_a_sentence_on_a_refused_setting_does_not_repeat_its_login(raw: dict[str, Any]) -> None:
    with pytest.raises(PersynError) as error:
        read_settings({**SHORTEST, **raw})
    assert "s3cret" not in str(error.value)


def test_a_variable_that_is_a_number_is_not_repeated() -> None:
    raw = {"cluster": {"runtime_env": {"env_vars": {"PIN": 73502461}}}}
    with pytest.raises(PersynError, match="env_vars.PIN: must be a string") as error:
        read_settings({**SHORTEST, **raw})
    assert "73502461" not in str(error.value)


def test_what_cannot_be_read_is_named_without_its_login() -> None:
    with pytest.raises(PersynError, match=r"http://\*\*\*@host") as error:
        parse_params(f"a.b=[http://{LOGIN}{'x' * 60}@host")
    assert "s3cret" not in str(error.value)


def test_a_manifest_shortens_an_error_only_once_its_login_is_hidden() -> None:
    """The first 500 characters end in the password, before the @ that tells it is one."""
    hooks = ManifestHooks()
    hooks.manifest = {"teachers": {}, "seconds": {}, "skipped": {}}
    ledger = MemoryDataset(Ledger(), copy_mode="assign")
    catalog = DataCatalog({"run_manifest": MemoryDataset(), "ledger": ledger})
    hooks._catalog = catalog
    error = PersynError(f"{'x' * 485} https://{LOGIN}@h/p cannot be used")
    assert str(error)[:500].endswith("s3c")
    hooks.on_pipeline_error(error, Pipeline([]))
    said = catalog.load("run_manifest")
    assert said["status"] == "failed" and said["error"].endswith("x https://***@h/")


def test_the_site_of_the_lineage_shows_parameters_and_rows_without_secrets(tmp_path: Path) -> None:
    told = {
        "parameters": {"file": f"sftp://{LOGIN}@h/p.jsonl", "env_vars": {"KEY": "s3cret"}},
        "preview": 'Said "https://h/a?sig=s3cret"\nand "http://h/b".',
    }
    (tmp_path / "nodes").mkdir()
    place, other = tmp_path / "nodes" / "1f", tmp_path / "main"
    place.write_text(json.dumps(told))
    other.write_text('{"as":"it was"}')
    lineage._hide_secrets(tmp_path)
    assert json.loads(place.read_text()) == {
        "parameters": {"file": "sftp://***@h/p.jsonl", "env_vars": {"KEY": "***"}},
        "preview": 'Said "https://h/a?sig=***"\nand "http://h/b".',
    }
    assert other.read_text() == '{"as":"it was"}'


def test_a_card_names_a_file_without_the_token_of_its_address() -> None:
    source = PromptSource(file="https://h/get?token=s3cret&as=p.jsonl")
    assert spoken_source(source, None) == "a file, get?token=***&as=p.jsonl"


def test_messages_are_shown_without_credentials() -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logging.getLogger().addHandler(handler)
    try:
        hide_in_messages()
        logging.getLogger("persyn_kedro.x").warning("%s at %s", "lost", f"http://{LOGIN}@h")
    finally:
        logging.getLogger().removeHandler(handler)
    assert written.getvalue() == "lost at http://***@h\n"


def test_a_message_that_a_library_got_wrong_ends_no_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(logging, "raiseExceptions", False)  # else the handler prints the mistake
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler(stream := io.StringIO())])
    hide_in_messages()
    root.warning("%d of http://me:s3cret@h", "x")
    root.warning("and on")
    assert stream.getvalue() == "and on\n"


@pytest.mark.parametrize("hiding", [hide, hide_in_urls])
def test_a_key_that_is_a_url_is_hidden_too_and_two_of_them_stay_two(hiding: Any) -> None:
    """Such as the files that a record names, by their contents."""
    read = {
        "https://me:secret@host/a": "1",
        "https://host/a?token=secret": "2",
        "https://you:secret@host/a": "3",
        7: "4",
    }
    assert hiding({"files_read": read})["files_read"] == {
        "https://***@host/a": "1",
        "https://host/a?token=***": "2",
        "https://***@host/a'": "3",
        7: "4",
    }
