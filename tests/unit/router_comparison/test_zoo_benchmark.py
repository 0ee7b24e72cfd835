"""The routers that benchmarks/zoo_routers.py compares."""

from pathlib import Path

import yaml

from persyn_kedro.foundations.settings import CompareRoutersSettings

ROUTERS = Path(__file__).parents[3] / "benchmarks" / "data" / "zoo_routers.yml"


def test_every_group_is_valid_and_a_name_means_one_router() -> None:
    groups = yaml.safe_load(ROUTERS.read_text())
    named: dict[str, object] = {}
    for routers in groups.values():
        found = CompareRoutersSettings(routers=routers).routers
        assert all(named.setdefault(name, router) == router for name, router in found.items())
    assert {r.kind for r in named.values()} >= {"knn", "linear", "auto", "language_model"}
