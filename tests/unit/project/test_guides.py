"""Each guide by itself: its settings are valid over the base's, its code and commands exist.

``tests/dag/test_other_settings.py`` runs them.
"""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from persyn_kedro import cli
from persyn_kedro.cli.new import TEMPLATE
from persyn_kedro.foundations.settings.read import GROUPS, read_settings
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs.pool_checks import check_own_code, check_pool
from tests.support import guides

ROOT = Path(__file__).parents[3]
TOPICS = (
    "own_prompts own_student hub_teacher gguf_teacher openai_teacher own_quality own_signal "
    "own_router own_engine adding_a_teacher remote_data hosted_servers conversations "
    "several_samples code_tests batch reasoning_model routers spending_less judge tracking "
    "public_answers"
).split()
BLOCKS = [
    pytest.param(guide, text, id=f"{guide.stem}-{place}")
    for guide in guides.GUIDES
    for place, (name, text) in enumerate(guides.files(guide, "yaml"))
    if name == guides.SETTINGS
]


def test_every_topic_has_its_guide_with_settings_and_commands() -> None:
    assert sorted(TOPICS) == [guide.stem for guide in guides.GUIDES]
    assert {block.values[0].stem for block in BLOCKS} == set(TOPICS)
    assert all(guides.blocks(guide, "sh") for guide in guides.GUIDES)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the guides' code, and files that look like their models."""
    directory = tmp_path_factory.mktemp("project")
    guides.write_files(directory)
    student = directory / "models" / "my-student"
    student.mkdir(parents=True)
    (student / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (student / "model.safetensors").touch()
    (directory / "models" / "my-model-q4_k_m.gguf").write_bytes(b"GGUF")
    (directory / "answers.jsonl").touch()
    return directory


def base_settings(of: str) -> dict[str, Any]:
    """Return the settings that a guide's are laid over: the demo's, or a new project's."""
    if of == "demo":
        conf = str(ROOT / "conf")
        return OmegaConfigLoader(conf, base_env="base", default_run_env="base")["parameters"]
    (path,) = TEMPLATE.glob("*/conf/base/parameters.yml")
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("base", ["demo", "new project"])
@pytest.mark.parametrize(("guide", "text"), BLOCKS)
def test_a_guides_settings_are_whole_groups(
    guide: Path, text: str, base: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("MY_KEY", "k")
    own = yaml.safe_load(text)
    assert own.keys() <= GROUPS.keys()
    settings = read_settings({**base_settings(base), **own})
    check_pool(settings)
    check_own_code(settings.label, settings.compare_routers.kinds)


@pytest.mark.parametrize("guide", guides.GUIDES, ids=lambda guide: guide.stem)
def test_a_guides_commands_exist(guide: Path) -> None:
    known = register_pipelines()
    for line in "".join(guides.blocks(guide, "sh")).splitlines():
        words = shlex.split(line)
        if words[0] != "kedro":
            assert words[0] == "export"
            continue
        command = cli.cli.commands[words[1]]
        given = command.make_context(words[1], words[2:]).params
        assert given["env"] == "mine"
        assert set(given.get("pipelines") or ()) <= set(known), line
