"""Kedro's side reaches rooms of the domain and foundations through their front doors alone."""

from importlib import import_module

import grimp
import pytest

GRAPH = grimp.build_graph("persyn_kedro", cache_dir=None)
KEDROS_SIDE = ("api", "cli", "datasets", "pipelines", "runs", "settings", "pipeline_registry")
ROOMS = sorted(
    module
    for module in GRAPH.modules
    if module.split(".")[1:2] in (["domain"], ["foundations"])
    and module.count(".") == 2
    and GRAPH.find_children(module)
)


def test_no_import_reaches_past_a_front_door() -> None:
    past = {
        (module, imported)
        for module in GRAPH.modules
        if module.split(".")[1:2] and module.split(".")[1] in KEDROS_SIDE
        for imported in GRAPH.find_modules_directly_imported_by(module)
        if any(imported.startswith(f"{room}.") for room in ROOMS)
    }
    assert not past


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_front_door_names_is_there(room: str) -> None:
    door = import_module(room)
    assert door.__doc__ and (door.__all__ or room.endswith("progress"))
    assert all(getattr(door, name) is not None for name in door.__all__)
