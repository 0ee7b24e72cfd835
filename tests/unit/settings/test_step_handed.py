"""What a step is handed: texts by id alone, and what its mark says that it needs."""

import inspect
from functools import reduce
from operator import or_

import pytest
from kedro.pipeline.node import Node

from persyn_kedro.foundations.settings.marks import step_of
from persyn_kedro.foundations.settings.needs import Needs
from persyn_kedro.foundations.settings.read import GROUPS
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.runs.hooks import ProjectHooks
from persyn_kedro.runs.records import settings_of, texts_of
from persyn_kedro.runs.template_checks import TemplateChecks
from tests.support.tables import dataset
from tests.unit.settings.test_step_marks import NODES, SETTINGS

LOOK_UP = [node for node in NODES if step_of(node.func).texts]


@pytest.mark.parametrize("node", LOOK_UP, ids=lambda n: n.name)
def test_what_a_step_looks_up_by_id_is_handed_to_it_as_ids_and_texts_alone(
    node: Node,
) -> None:
    """Whatever else of the prompts it read, a change of that would not redo it."""
    assert set(step_of(node.func).texts) < set(inspect.signature(node.func).parameters)
    names = texts_of(node)
    assert len(names) == len(step_of(node.func).texts)
    prompts = dataset([{"prompt_id": "p", "prompt": "t", "reference": "r"}], schemas.SOURCE_PROMPTS)
    groups = {
        f"params:{group}": getattr(SETTINGS["knn"], group) for group in settings_of(node).values()
    }
    hooks = ProjectHooks()
    hooks.templates = TemplateChecks(SETTINGS["knn"], set())  # as after_context_created leaves them
    handed = hooks.before_node_run(node, {**groups, **dict.fromkeys(names, prompts)})
    for name in names:
        rows = handed[name].to_table().to_pylist()
        assert rows == [{"prompt_id": "p", "prompt": "t", "messages": None}]


@pytest.mark.parametrize("node", NODES, ids=lambda n: n.name)
def test_what_a_mark_names_is_the_steps_own(node: Node) -> None:
    mark = step_of(node.func)
    outputs = {name for other in NODES if other.func is node.func for name in other.outputs}
    made = {name.rpartition(".")[2] for name in outputs}  # those of rounds are prefixed
    assert mark.spoken.keys() <= made
    assert {name for names in mark.prints.values() for name in names} <= made
    if mark.check is not None:
        assert set(inspect.signature(mark.check).parameters) <= {*GROUPS}


@pytest.mark.parametrize("node", NODES, ids=lambda n: n.name)
def test_what_a_step_is_handed_shows_in_its_needs(node: Node) -> None:
    needs = reduce(or_, step_of(node.func).needs_if.values(), step_of(node.func).needs)
    handed = {*inspect.signature(node.func).parameters}
    asks = {"engine", "seed", "response_store"} <= handed
    asks = asks and "generate" not in handed  # which only counts whom a design asks
    assert (Needs.TEACHERS in needs) == ("ledger" in handed)
    alone = "ledger" not in handed or "trial_store" in handed  # whose students a judge may judge
    assert (Needs.STUDENT in needs) == (asks and alone)
    assert bool(needs & (Needs.TRAINER | Needs.PROCESSES)) == ("workspace" in handed)
    assert (Needs.MODEL | Needs.CLUSTER in needs) == ("statistics_store" in handed)
    assert Needs.ROUTER in needs or "routing_store" not in handed
