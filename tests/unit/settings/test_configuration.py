"""Configuration as code: every environment's settings are valid, complete and used."""

import json
from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader
from kedro.pipeline import Pipeline

from persyn_kedro.domain.reporting.notes import pool_notes
from persyn_kedro.foundations.errors import PersynError, yaml_sentence
from persyn_kedro.foundations.settings import read as settings_reader
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs.pool_checks import check_pool
from tests.support.catalog import entries
from tests.support.settings import SHORTEST

CONF = Path(__file__).parents[3] / "conf"

EVERY = sum(register_pipelines().values(), Pipeline([]))


@pytest.mark.parametrize(
    ("env", "pool"),
    [
        ("base", 5),
        ("smoke", 3),
        ("paper_math", 15),
        ("paper_instruct", 19),
        ("experiment", 5),
        ("experiment_reward", 3),
        ("experiment_a", 5),
        ("experiment_a_tokens", 5),
        ("experiment_pilot", 5),
        ("experiment_pilot_2", 5),
        ("experiment_b", 5),
        ("experiment_b2", 5),
        ("experiment_c", 3),
        ("cluster", 3),
    ],
)
def test_an_environment_is_valid(
    env: str, pool: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = OmegaConfigLoader(str(CONF), base_env="base", default_run_env="base", env=env)[
        "parameters"
    ]
    assert set(raw) == {*settings_reader.GROUPS, "seed"}
    settings = settings_reader.read_settings(raw)
    if judge := settings.label.quality.model:
        _make_judge(Path(settings.models.root[judge].local or ""))
    check_pool(settings)
    assert len(settings.teachers.root) == pool


def test_a_cluster_s_settings_are_a_cluster_and_its_data_are_elsewhere() -> None:
    loader = OmegaConfigLoader(str(CONF), base_env="base", default_run_env="base", env="cluster")
    settings = settings_reader.read_settings(loader["parameters"])
    assert settings.engine.name == "ray" and settings.cluster.address == "auto"
    assert settings.cluster.gpus == 1
    assert loader["globals"]["data"].startswith("s3://")


def test_the_experiment_at_equal_tokens_is_the_one_at_equal_examples() -> None:
    one, other = (
        OmegaConfigLoader(str(CONF), base_env="base", default_run_env="base", env=env)["parameters"]
        for env in ("experiment_a", "experiment_a_tokens")
    )
    differing = {name for name in one if one[name] != other[name]}
    assert differing == {"prepare", "compare_routers", "compare"}
    differing = {n for n in one["prepare"] if one["prepare"][n] != other["prepare"][n]}
    assert differing == {"sources"}


def _make_judge(directory: Path) -> None:
    """Make what stands for a reward model that an earlier run trained, where it would be."""
    directory /= f"version/{directory.name}"
    directory.mkdir(parents=True)
    config = {"architectures": ["LlamaForSequenceClassification"], "num_labels": 1}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "model.safetensors").touch()


def test_every_output_is_in_the_catalog_and_versioned() -> None:
    catalog = entries()
    outputs = EVERY.all_outputs()
    assert outputs <= set(catalog)
    assert all(catalog[name]["versioned"] for name in outputs)


def test_no_catalog_entry_is_unused() -> None:
    catalog = entries()
    by_a_hook = {"run_manifest", "tracking_files"}
    assert set(catalog) - by_a_hook <= EVERY.datasets()


def test_every_parameter_group_is_read_by_a_node() -> None:
    inputs = EVERY.inputs()
    by_a_hook = {"cluster", "tracking"}  # where a run and its trail go, not what it makes
    read = {*settings_reader.GROUPS, "seed"} - by_a_hook
    assert {f"params:{name}" for name in read} <= inputs


GOOD = {
    **SHORTEST,
    "models": {"a": {"zoo": "smollm2"}, "b": {"zoo": "smollm2"}},
    "teachers": {"x": {"model": "a"}, "y": {"model": "b", "system": "!"}},
}


@pytest.mark.parametrize(
    ("group", "value", "sentence"),
    [
        ("seed", "abc", "seed must be an integer, not 'abc'"),
        ("sft", {"epohcs": 3}, "Unknown parameter sft.epohcs."),
        ("label", {"alpha": 1.5}, r"label.alpha: .*less than or equal to 1 \(it is 1.5\)"),
        ("teachers", {"x": {"model": "a"}}, "at least two teachers"),
        (
            "teachers",
            {"x.1": {"model": "a"}, "y": {"model": "b"}},
            "the name 'x.1' must not contain",
        ),
        ("models", {"a": {"zoo": "smollm2", "hub": "o/m"}}, "models.a: .*exactly one of"),
        ("teachers", None, "Missing group of parameters 'teachers'"),
        ("models", None, "Missing group of parameters 'models'"),
        (
            "cluster",
            {"training_processes": 9},
            "sft.batch_size: 8 rows cannot be shared by cluster",
        ),
    ],
)
def test_bad_settings_are_one_sentence(group: str, value: object, sentence: str) -> None:
    raw = {**GOOD, group: value}
    if value is None:
        del raw[group]
    with pytest.raises(PersynError, match=sentence) as caught:
        settings_reader.read_settings(raw)
    assert "\n" not in str(caught.value)


def test_a_group_left_out_has_its_defaults() -> None:
    needed = {name: GOOD[name] for name in ("seed", *settings_reader.REQUIRED)}
    found = settings_reader.read_settings(needed)
    for name, kind in settings_reader.GROUPS.items():
        if name not in settings_reader.REQUIRED:
            assert getattr(found, name) == kind()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"student": {"model": "a", "system": "x\ud800"}}, "student.system"),
        ({"models": {"a\udfff": {"zoo": "smollm2"}}}, "models"),
        ({"prepare": {"source": {"tasks": [{"name": "\ud800", "size": 1}]}}}, "source.tasks.name"),
    ],
)
def test_half_a_character_in_a_setting_is_refused(changes: dict, key: str) -> None:
    with pytest.raises(PersynError, match=f"Parameter .*{key} contains invalid Unicode") as caught:
        settings_reader.read_settings({**GOOD, **changes})
    str(caught.value).encode()  # can be printed


@pytest.mark.parametrize("content", [b"seed: 1\x00\n", b"seed: '\xe9'\n", b"seed: [1\n"])
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "good.yml").write_text("seed: 1\n")
    (tmp_path / "parameters.yml").write_bytes(content)
    sentence = yaml_sentence(ValueError("what Kedro says"), tmp_path)
    assert sentence.startswith(f"{tmp_path / 'parameters.yml'}") and "\n" not in sentence


def test_the_students_own_weights_in_the_pool_are_noted_whatever_their_name() -> None:
    settings = settings_reader.read_settings(GOOD)
    (note,) = pool_notes(settings.models, settings.teachers, settings.student)
    assert "teacher x, y" in note


def test_a_model_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    models = {**GOOD["models"], "b": {"local": str(tmp_path / "none")}}
    settings = settings_reader.read_settings({**GOOD, "models": models})
    with pytest.raises(PersynError, match="Model 'b': no such directory"):
        check_pool(settings)
