"""What Kedro-Viz shows: steps as groups, layers in the data's order, previews."""

import json
from pathlib import Path

from persyn_kedro.pipeline_registry import STEPS
from tests.conftest import Run

LAYERS = (
    "stores intermediate primary feature router assignments responses model_input student "
    "model_output reporting"
).split()


def test_the_static_site_has_groups_layers_and_previews(smoke_project: Run) -> None:
    smoke_project("viz", "build", "--include-previews", KEDRO_ENV="smoke")
    api = Path(smoke_project.directory) / "build" / "api"
    main = json.loads((api / "main").read_text())
    assert set(main["modular_pipelines"]) >= set(STEPS)
    assert sorted(main["layers"]) == sorted(LAYERS)  # a cycle of layers would leave none
    order = [main["layers"].index(layer) for layer in LAYERS[1:]]
    assert order == sorted(order)
    names = {node["id"]: node["name"] for node in main["nodes"]}
    nodes = {
        names[f.name]: json.loads(f.read_text())
        for f in (api / "nodes").iterdir()
        if f.name in names
    }
    assert nodes["prompts"]["preview_type"] == "TablePreview"
    assert "prompt" in nodes["prompts"]["preview"]["columns"]
    assert len(nodes["prompts"]["preview"]["data"]) == 10
    assert nodes["router_metrics"]["preview_type"] == "JSONPreview"
    assert "model.safetensors" in nodes["student"]["preview"]
