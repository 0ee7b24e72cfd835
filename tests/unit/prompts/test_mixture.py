"""Several sources: names, shares of the limit by weights, and prompts that are in two of them."""

import json
import logging

import pytest

from persyn_kedro.domain.prompts.mixture import mix_sources, shares
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings import PrepareSettings
from persyn_kedro.foundations.settings.read import read_group


def _file(directory, name, prompts, **columns):
    rows = [{"prompt": p, **{k: f"{v} {p}" for k, v in columns.items()}} for p in prompts]
    path = directory / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def three(tmp_path):
    """Sources of 40, 20 and 3 prompts; one of ``b`` is in ``a`` too."""
    a = [f"a{i}" for i in range(40)]
    b = ["a7", *(f"b{i}" for i in range(20))]
    c = [f"c{i}" for i in range(3)]
    return [
        {"name": "first", "file": _file(tmp_path, "a", a, subject="of"), "keep": ["subject"]},
        {"name": "second", "file": _file(tmp_path, "b", b)},
        {"name": "third", "file": _file(tmp_path, "c", c)},
    ]


def _settings(sources, **more) -> PrepareSettings:
    return read_group("prepare", {"sources": sources, **more})


def _rows(sources, seed=7, **more):
    return mix_sources(_settings(sources, **more), seed).read_all().to_pylist()


def _counts(rows):
    names = [row["source"] for row in rows]
    return {name: names.count(name) for name in dict.fromkeys(names)}


@pytest.mark.parametrize(
    ("counts", "weights", "limit", "expected"),
    [
        ((100, 100, 100), (2, 1, 1), 40, (20, 10, 10)),
        ((100, 100, 100), (1, 1, 1), 10, (4, 3, 3)),  # the largest remainders, then the first
        ((100, 100, 100), (0.5, 0.3, 0.2), 7, (4, 2, 1)),  # 3.5, 2.1, 1.4
        ((100, 2, 100), (1, 2, 1), 40, (19, 2, 19)),  # what is lacking is the others'
        ((3, 2, 100), (1, 2, 1), 40, (3, 2, 35)),
        ((3, 2, 5), (1, 1, 1), 40, (3, 2, 5)),  # all that there are
        ((100, 100, 100), (1, 1e-9, 1), 2, (1, 0, 1)),
        ((0, 0, 0), (1, 1, 1), 5, (0, 0, 0)),
    ],
)
def test_a_weight_is_a_share_of_the_limit(counts, weights, limit, expected):
    """Whatever the sources' sizes, and the shares add up to the limit."""
    names = ("a", "b", "c")
    found = shares(
        dict(zip(names, counts, strict=True)), dict(zip(names, weights, strict=True)), limit
    )
    assert found == dict(zip(names, expected, strict=True))


def test_without_a_limit_all_prompts_are_taken_and_one_in_two_sources_once(three, caplog):
    """It is the first source's; the count is said."""
    caplog.set_level(logging.INFO)
    rows = _rows(three)
    assert _counts(rows) == {"first": 40, "second": 20, "third": 3}
    assert [row["source"] for row in rows if row["prompt"] == "a7"] == ["first"]
    assert "1 prompts of source second are in an earlier source and were dropped" in caplog.text
    assert "Prompts by source: first 40, second 20, third 3" in caplog.text


def test_a_limit_is_shared_by_the_weights_and_drawn_by_the_seed(three):
    """The same seed draws the same prompts in their order, another one others."""
    weighted = [{**three[0], "weight": 2.0}, three[1], three[2]]
    rows = _rows(weighted, limit=20)
    assert _counts(rows) == {"first": 11, "second": 6, "third": 3}  # 17 by 2 to 1, as third has 3
    assert rows == _rows(weighted, limit=20)
    own = [row["prompt"] for row in rows if row["source"] == "first"]
    assert own == sorted(own, key=lambda prompt: int(prompt[1:]))
    assert own != [f"a{i}" for i in range(11)]
    assert rows != _rows(weighted, seed=8, limit=20)
    more = {row["prompt"] for row in _rows(weighted, limit=30)}
    assert {row["prompt"] for row in rows} <= more  # a higher limit keeps what a lower one drew


def test_a_long_source_is_drawn_from_as_it_is_read(tmp_path, monkeypatch):
    """What is held between blocks changes nothing."""
    monkeypatch.setattr("persyn_kedro.domain.prompts.prepare.BLOCK", 16)
    files = [_file(tmp_path, n, [f"{n}{i}" for i in range(200)]) for n in "xy"]
    sources = [{"name": n, "file": f} for n, f in zip("xy", files, strict=True)]
    whole = _rows(sources, limit=11)
    monkeypatch.setattr("persyn_kedro.domain.prompts.mixture.BLOCK", 1)
    assert _rows(sources, limit=11) == whole
    assert _counts(whole) == {"x": 6, "y": 5}


def test_each_source_has_columns_of_its_own_and_all_rows_keep_the_same(three, tmp_path):
    """The name travels with the kept columns; a source without one has null there."""
    renamed = tmp_path / "q.jsonl"
    renamed.write_text('{"question": "q?", "answer": 4}\n{"question": "r?", "answer": 5}\n')
    other = {"name": "other", "file": str(renamed), "prompt_column": "question",
             "reference_column": "answer", "limit": 1, "prompt_suffix": " Say it."}  # fmt: skip
    rows = {row["prompt"]: row for row in _rows([three[0], other])}
    assert rows["q? Say it."]["reference"] == "4"
    assert "r? Say it." not in rows
    assert json.loads(rows["q? Say it."]["kept"]) == {"source": "other", "subject": None}
    assert json.loads(rows["a3"]["kept"]) == {"source": "first", "subject": "of a3"}


def test_tasks_may_be_among_the_sources(three):
    """Their prompts keep the entry that checks their answers."""
    tasks = {"name": "sums", "tasks": [{"name": "chain_sum", "size": 5}]}
    own = [row for row in _rows([three[2], tasks]) if row["source"] == "sums"]
    assert len(own) == 5
    assert all(json.loads(row["metadata"])["metadata"] for row in own)


ONE = {"name": "a", "file": "a.jsonl"}


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        ({}, "Parameter prepare: set either source or sources."),
        ({"source": {"file": "a.jsonl"}, "sources": [ONE]}, "set either source or sources"),
        ({"sources": [ONE, ONE]}, "sources has two that are named 'a'; rename one"),
        ({"sources": [{**ONE, "weight": 2}]}, "a source's weight is its share of limit; set limit"),
        (
            {"source": {"file": "a.jsonl"}, "limit": 3},
            "limit is only for sources; set source.limit",
        ),
        ({"sources": [{**ONE, "keep": ["source"]}]}, "keep must not have 'source'"),
        ({"sources": [{"file": "a.jsonl"}]}, "Parameter prepare.sources.0.name: "),
        ({"sources": [{"name": "a"}]}, "prepare.sources.0: set exactly one of file, hub and tasks"),
        ({"sources": [{**ONE, "weight": 0}], "limit": 3}, "prepare.sources.0.weight: "),
    ],
)
def test_bad_sources_are_refused_in_one_sentence(prepare, sentence):
    """Before anything is read."""
    with pytest.raises(PersynError) as refused:
        read_group("prepare", prepare)
    assert sentence in str(refused.value)


def test_an_error_names_the_source(tmp_path):
    """By its name in the settings."""
    missing = {"name": "math", "file": str(tmp_path / "none.jsonl")}
    with pytest.raises(PersynError, match=r"check `prepare.sources \(math\).file`"):
        _rows([missing])
