"""``--params``: what Kedro reads is read as before, and lists and texts with commas as well."""

import re
import shlex
from types import SimpleNamespace
from typing import Any

import click
import pytest
from hypothesis import given, strategies as st
from kedro.framework.cli.utils import _split_params

from persyn_kedro.cli.params import PARAMS, _callback, parse_params
from persyn_kedro.foundations.errors import PersynError


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b=1,c=2",
        " a.b = 1 , c = 2 ",
        "a=1e-5,b=1.0e-5,c=true,d=null,e=",
        "a=http://h:80/v1?x=y,b=mine/signal.py:worst_window",
        "teachers.packed.system=Be long.,a=it's {fine} [as it is]",
        "prepare.source.file=bare.jsonl,label.quality.model=",
        "a=x=y",
        "a.b=1,a.c=2,a.b=3",
        "a= (one",
        "cluster.training_processes=2,cluster.sharding=fsdp,",
    ],
)
def test_what_kedro_reads_is_read_the_same(text: str) -> None:
    kedro = _split_params(None, SimpleNamespace(name="params"), text.rstrip(","))
    assert parse_params(text) == kedro


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("compare.seeds=[1,2]", {"compare": {"seeds": [1, 2]}}),
        ("compare.seeds=[1, 2],seed=3", {"compare": {"seeds": [1, 2]}, "seed": 3}),
        ('a="Be brief, please.",b=1', {"a": "Be brief, please.", "b": 1}),
        ("a='It''s one, two' , b=1", {"a": "It's one, two", "b": 1}),
        (r'a="say \"x, y\"\n",b=[]', {"a": 'say "x, y"\n', "b": []}),
        ("a={b: [1, 2], c: 'd, e'},f=1", {"a": {"b": [1, 2], "c": "d, e"}, "f": 1}),
        ("a=[[1, 2], [']', \"}\"]],b=x", {"a": [[1, 2], ["]", "}"]], "b": "x"}),
        ('a="5",b=5', {"a": "5", "b": 5}),
        (r"a='\boxed{}, as ever'", {"a": r"\boxed{}, as ever"}),
    ],
)
def test_lists_and_texts_with_commas_are_read(text: str, settings: dict[str, Any]) -> None:
    assert parse_params(text) == settings


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("a=Be brief, please.", "'please.' is not key=value"),
        ("nonsense", "'nonsense' is not key=value"),
        ("=1", "'=1' is not key=value"),
        ("a=1,,b=2", "',b=2' is not key=value"),
        ("a=[1,2,b=3", "'a=[1,2,b=3' cannot be read"),
        ('a="open,b=3', "'a=\"open,b=3' cannot be read"),
        ("a=[1,2] and,b=3", "expected a comma after 'a=[1,2]', got ' and,b=3'"),
        ("a=@x", "'a=@x' cannot be read"),
        ("a=[1}", "'a=[1}' cannot be read"),
        ("a=\x00", "cannot be read"),
        ("a='\udcff'", "cannot be read"),
        ("a=" + "[" * 1500, "cannot be read"),
        ("a=" + "[" * 1500 + "]" * 1500, "cannot be read"),
        ("a=" + "9" * 5000, "cannot be read"),
        ("a=${", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_that_shows_the_piece(text: str, piece: str) -> None:
    with pytest.raises(PersynError) as caught:
        parse_params(text)
    told = str(caught.value)
    assert told.startswith("--params: ") and piece in told
    assert "key=value" in told and told.isprintable() and len(told) < 400


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_params(text), dict)
    except PersynError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        (None, {}),
        ("a.b=1,c=[1,2]", {"a": {"b": 1}, "c": [1, 2]}),
        ({"label.alpha": 0.8, "label": {"unsolved": "keep"}, "seed": 3},
         {"label": {"alpha": 0.8, "unsolved": "keep"}, "seed": 3}),
        ({"student": {"system": "a.b, c"}}, {"student": {"system": "a.b, c"}}),
    ],
)  # fmt: skip
def test_a_config_file_sets_what_the_option_sets(given: Any, settings: dict[str, Any]) -> None:
    assert _callback(click.Context(click.Command("run")), PARAMS, given) == settings


@pytest.mark.parametrize("given", [[], [1], ["a=1"], 5, 0.5, True, {1: 2}, {"a": "${"}])
def test_what_a_config_file_cannot_set_is_one_sentence(given: Any) -> None:
    with pytest.raises(click.ClickException, match=r"^--config: .*params.*\.$"):
        _callback(click.Context(click.Command("run")), PARAMS, given)


def test_what_is_advised_survives_a_shell() -> None:
    """A shell takes the outer quotes away, and leaves those that the value needs."""
    with pytest.raises(PersynError) as caught:
        parse_params("student.system=Be brief, please.")
    for advice, key in ((PARAMS.help or "", "student"), (str(caught.value), "key")):
        (option,) = re.findall(rf"""--params='{key}\S* ?[^']*'""", advice)
        (argument,) = shlex.split(option)
        assert ", " in str(parse_params(argument.removeprefix("--params=")))
