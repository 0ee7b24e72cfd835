"""Configuration as code: every environment's settings are valid, complete and used."""

from pathlib import Path

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from persyn_kedro.domain.pool import check_pool
from persyn_kedro.foundations import parameters
from persyn_kedro.pipeline_registry import register_pipelines

CONF = Path(__file__).parents[2] / "conf"
GROUPS = {
    "models": parameters.Models,
    "teachers": parameters.Teachers,
    "student": parameters.StudentSettings,
    "engine": parameters.EngineSettings,
    "prepare": parameters.PrepareSettings,
    "label": parameters.LabelSettings,
    "train_router": parameters.TrainRouterSettings,
    "route": parameters.RouteSettings,
    "generate": parameters.GenerateSettings,
    "sft": parameters.SftSettings,
    "evaluate": parameters.EvaluateSettings,
}


@pytest.mark.parametrize(
    ("env", "pool"), [("base", 5), ("smoke", 3), ("paper_math", 15), ("paper_instruct", 19)]
)
def test_an_environment_is_valid(env: str, pool: int) -> None:
    raw = OmegaConfigLoader(str(CONF), base_env="base", default_run_env="base", env=env)[
        "parameters"
    ]
    assert set(raw) == {*GROUPS, "seed"}
    settings = {name: kind.model_validate(raw[name]) for name, kind in GROUPS.items()}
    references = ("models", "teachers", "student", "label", "train_router")
    check_pool(*(settings[name] for name in references))
    assert len(settings["teachers"].root) == pool


def test_every_output_is_in_the_catalog_and_versioned() -> None:
    catalog = yaml.safe_load((CONF / "base" / "catalog.yml").read_text())
    outputs = register_pipelines()["__default__"].all_outputs()
    assert outputs <= set(catalog)
    assert all(catalog[name]["versioned"] for name in outputs)


def test_no_catalog_entry_is_unused() -> None:
    catalog = yaml.safe_load((CONF / "base" / "catalog.yml").read_text())
    assert set(catalog) <= register_pipelines()["__default__"].datasets()


def test_every_parameter_group_is_read_by_a_node() -> None:
    inputs = register_pipelines()["__default__"].inputs()
    assert {f"params:{name}" for name in [*GROUPS, "seed"]} <= inputs
