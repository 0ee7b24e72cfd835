"""Which inputs belong together: every node of every step, after each earlier one was made anew."""

import re
import shutil
from pathlib import Path

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persyn_kedro.cli.push import _facts as facts_behind
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.marks import Step
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.pipeline_registry import MAKERS
from persyn_kedro.runs.ancestry import Ancestry
from persyn_kedro.runs.belonging import check_belonging, pin_versions_behind
from persyn_kedro.runs.records import inputs_read
from tests.support.fake_steps import catalog, run, steps, with_versions
from tests.support.settings import SHORTEST

PREPARE = ("prepare.read_prompts", "prepare.screen_prompts", "prepare.split_prompts")
STEPS = steps()
NODES = {node.name: node for node in STEPS.nodes}
SETTINGS = read_settings(SHORTEST)
READ = {node.name: set(inputs_read(node, SETTINGS)) for node in STEPS.nodes}
(REAL_ROUTE,) = MAKERS["route"]().only_nodes("route.route_prompts").nodes


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose every step has run once."""
    directory = tmp_path_factory.mktemp("steps") / "data"
    run(STEPS, directory, "v1")
    return directory


@pytest.fixture
def project(made_once: Path, tmp_path: Path) -> Path:
    """A copy of it to run more in."""
    return Path(shutil.copytree(made_once, tmp_path / "data"))


def refused(pipeline: Pipeline, where: Path | DataCatalog, **chosen: str) -> str | None:
    """Return what is said of these nodes before they run, by a catalog or a project's new one."""
    data = catalog(where, "v9") if isinstance(where, Path) else where
    try:
        check_belonging(pipeline, with_versions(data, **chosen), SETTINGS)
    except PersynError as error:
        return str(error)
    return None


def joins_old_with_new(node: Node, remade: Node) -> bool:
    """Whether the node reads what is new and, beside it, what was made from the old."""
    new, later = set(remade.outputs), set()
    for other in STEPS.nodes:  # each after those that it reads of
        if (new | later) & READ[other.name]:
            later |= set(other.outputs)
    inputs = READ[node.name]
    return bool(inputs & new) and bool(inputs & later)


def command_of(sentence: str) -> Pipeline:
    """Return the steps of the command that a sentence names."""
    (names,) = re.findall(r"`kedro run --pipelines=([a-z_,]+)`", sentence)
    nodes = {node.name for step in names.split(",") for node in MAKERS[step]().nodes}
    return Pipeline([NODES[name] for name in nodes])


def versions_of(sentence: str) -> dict[str, str]:
    """Return the versions that a sentence has to offer."""
    (listed,) = re.findall(r"--load-versions=(\S+)\.$", sentence)
    return dict(item.split(":") for item in listed.split(","))


@pytest.mark.parametrize("remade", NODES)
def test_a_node_alone_runs_or_says_which_two_inputs_do_not_belong_together(
    remade: str, project: Path
) -> None:
    run(Pipeline([NODES[remade]]), project, "v2", seed=8)
    newest = catalog(project, "v9")
    alone = {node: Pipeline([node]) for node in STEPS.nodes}
    once = Ancestry(newest)  # the records are read once for all nodes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("persyn_kedro.runs.belonging.Ancestry", lambda _: once)
        sentences = {node: refused(alone[node], newest) for node in STEPS.nodes}
    for node, sentence in sentences.items():
        assert (sentence is not None) == joins_old_with_new(node, NODES[remade]), node.name
        if sentence is None:
            continue
        assert sentence.startswith(f"The inputs of {node.name} do not belong together, as ")
        assert "(v1)" in sentence and "(v2)" in sentence and "\n" not in sentence
        chosen = versions_of(sentence)
        assert set(chosen.values()) == {"v1"}
        assert refused(alone[node], newest, **chosen) is None


@pytest.mark.parametrize(
    "remade",
    [
        "prepare.read_prompts",
        "prepare.split_prompts",
        "label.answer_calibration_prompts",
        "label.normalise_rewards",
        "sft.train_student",
        "compare.allocate_prompts",
        "export.collect_facts",
    ],
)
def test_the_command_that_is_named_mends_it(remade: str, project: Path) -> None:
    run(Pipeline([NODES[remade]]), project, "v2", seed=8)
    newest, mended = catalog(project, "v9"), 0
    for node in STEPS.nodes:
        sentence = refused(Pipeline([node]), newest)
        if sentence is not None:
            mended += 1
            run(command_of(sentence), project, f"v3-{mended:02}")
            newest = catalog(project, "v9")
            assert refused(Pipeline([node]), newest) is None
    assert mended


@pytest.mark.parametrize(
    ("remade", "later"),
    [
        ("prepare.read_prompts", "label.score_quality"),
        ("label.normalise_rewards", "evaluate.summarise"),
        ("sft.train_student", "evaluate.draw_run_plots"),
    ],
)
def test_what_the_run_itself_makes_is_held_to_the_same(
    remade: str, later: str, project: Path
) -> None:
    both = STEPS.only_nodes(remade, later)
    data = catalog(project, "v9")
    with pytest.raises(PersynError, match=f"The inputs of {later} do not belong together, as "):
        run(both, project, "v2", seed=8)
    assert {data[name].versions()[0] for name in NODES[remade].outputs} == {"v2"}
    assert {data[name].versions()[0] for name in NODES[later].outputs} == {"v1"}
    run(both, project, "v3")  # by the first seed nothing is new


def test_two_nodes_of_a_run_are_given_what_belongs_together(project: Path) -> None:
    """The second one's input is made by the first, of a router that older prompts trained."""
    run(STEPS.only_nodes(*PREPARE), project, "v2", seed=8)
    later = STEPS.only_nodes("label.select_calibration_set", "compare_routers.cross_fit_routers")
    sentence = refused(later, project)
    assert sentence is not None and sentence.startswith(
        "The inputs of compare_routers.cross_fit_routers do not belong together, as "
        "rewards (v1) was not made from the newest "
    )


def test_a_step_done_again_that_made_the_same_changes_nothing(
    made_once: Path, tmp_path: Path
) -> None:
    """The calibration set is the same by other prompts: its answers stay, as in a whole run."""
    same = steps(alike=lambda name: name == "calibration_set")
    directory = tmp_path / "data"
    run(same, directory, "v1")
    prepare = same.only_nodes(*PREPARE)
    for node in prepare.nodes:
        node._func = _appending(node.func)
    run(prepare, directory, "v2")
    alone = same.only_nodes("label.score_quality")
    assert refused(alone, directory) is not None  # it is not known yet
    run(same.only_nodes("label.select_calibration_set"), directory, "v3")
    assert refused(alone, directory) is None
    run(same, directory, "v4")
    for node in same.nodes:
        assert refused(same.only_nodes(node.name), directory) is None
    assert catalog(directory, "v9")["calibration_responses"].versions() == ["v1"]


def _appending(work):  # type: ignore[no-untyped-def]
    def changed(seed, *tables):  # type: ignore[no-untyped-def]
        return [made + " and more" for made in work(seed, *tables)]

    changed.step = Step(2, {})  # type: ignore[attr-defined]
    return changed


def test_what_is_not_read_need_not_belong(project: Path) -> None:
    """Routing by score alone reads no split; the cost model, which it does not read, is its own."""
    route = Pipeline([NODES[node.name] for node in MAKERS["route"]().nodes])
    run(Pipeline([NODES["prepare.split_prompts"]]), project, "v2", seed=8)
    run(Pipeline([NODES["label.score_quality"]]), project, "v3", seed=9)
    run(Pipeline([NODES["label.normalise_rewards"]]), project, "v4", seed=9)
    assert refused(route, project) is None
    weighed = read_settings({**SHORTEST, "route": {"budget": {"max_tokens": 1}}})
    assert not {"prompts", "cost_model"} & set(inputs_read(REAL_ROUTE, SETTINGS))
    assert {"prompts", "cost_model"} <= set(inputs_read(REAL_ROUTE, weighed))


def test_versions_put_there_by_hand_are_taken_as_they_are(project: Path) -> None:
    data = catalog(project, "v2")
    data["source_prompts"].save("my own")
    alone = Pipeline([NODES["label.score_quality"]])
    assert refused(alone, project) is not None  # that the answers are others' is known
    data["calibration_responses"].save("my own")
    assert refused(alone, project) is None


def test_versions_that_the_user_chose_are_held_to_it_too(project: Path) -> None:
    run(STEPS, project, "v2", seed=8)
    alone = Pipeline([NODES["generate.generate_responses"]])
    assert refused(alone, project) is None
    sentence = refused(alone, project, assignments="v1")
    assert sentence is not None
    chosen = versions_of(sentence)
    assert chosen == {"assignments": "v1", "prompts": "v1"}
    assert refused(alone, project, **chosen) is None
    sentence = refused(alone, project, assignments="v1", prompts="v2")
    assert sentence is not None and sentence.endswith(": leave out --load-versions.")


def test_what_was_made_of_both_is_neither_traced_nor_explained(project: Path) -> None:
    """Programs before this rule ran such steps."""
    run(Pipeline([NODES["label.normalise_rewards"]]), project, "v2", seed=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("persyn_kedro.runs.runner.check_node", lambda *_: None)
        run(Pipeline([NODES["generate.build_sft_dataset"]]), project, "v3")
    with pytest.raises(PersynError) as error:
        pin_versions_behind("sft_dataset", catalog(project, "v9"))
    sentence = str(error.value)
    assert "sft_dataset (v3) was made from different versions of rewards: run `kedro" in sentence
    run(command_of(sentence), project, "v4")
    assert pin_versions_behind("sft_dataset", catalog(project, "v9"))["rewards"] == "v2"


def test_a_push_sends_what_was_made_together_whatever_its_versions_are(project: Path) -> None:
    both = ["export_dataset", "export_student"]
    run(Pipeline([NODES["sft.train_student"]]), project, "v2", seed=8)
    with pytest.raises(PersynError, match="No export_dataset yet"):
        facts_behind(catalog(project / "nothing", "v9"), both)
    data = catalog(project, "v2")
    data["export_facts"].renew("v1")  # the same, as a step that is done again may make it
    run(Pipeline([NODES["export.write_dataset"]]), project, "v3", seed=8)
    data = catalog(project, "v9")
    assert facts_behind(data, both) == data["export_facts"].load()
    with pytest.MonkeyPatch.context() as patch:  # as programs did before: of another training
        patch.setattr("persyn_kedro.runs.runner.check_node", lambda *_: None)
        run(Pipeline([NODES["export.write_student"]]), project, "v4")
    with pytest.raises(PersynError, match="were not made together: run `kedro"):
        facts_behind(catalog(project, "v9"), both)
    assert facts_behind(catalog(project, "v9"), both[:1])


def test_many_versions_alike_are_no_more_to_search(project: Path) -> None:
    """A step redone makes versions that differ in nothing: they count as one."""
    for copy in range(12):
        data = catalog(project, f"v1-{copy:02}")
        for name in ("calibration_responses", "router", "routed_responses", "student"):
            data[name].renew("v1")
    run(Pipeline([NODES["prepare.read_prompts"]]), project, "v2", seed=8)
    ancestry = Ancestry(catalog(project, "v9"))
    read = 0

    def count(name: str) -> list:  # type: ignore[type-arg]
        nonlocal read
        read += 1
        return Ancestry.origins(ancestry, name)

    ancestry.origins = count  # type: ignore[method-assign]
    assert ancestry.clash({"source_prompts": "v2", "evaluation_metrics": "v1"}) is not None
    assert read < 200
