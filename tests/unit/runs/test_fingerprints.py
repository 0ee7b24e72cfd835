"""What a step reads, and what its result hangs on."""

import json
import re
from typing import Any

import pytest
from kedro.pipeline import Pipeline

from persyn_kedro.domain.quality import exact_answer
from persyn_kedro.foundations.models import identities
from persyn_kedro.foundations.settings.compare_quality import CompareQualitySettings
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.label import LabelSettings, QualitySettings
from persyn_kedro.foundations.settings.marks import Step, hand, lasting, step
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.prepare import PrepareSettings
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.foundations.settings.references import models_named, own_code_named
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.teachers import Teachers, TeacherSettings
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.pipelines.compare_quality.nodes import judge_answers
from persyn_kedro.runs.fingerprints import difference, fingerprint, reading
from persyn_kedro.runs.records import models_of, settings_of
from tests.support.settings import SHORTEST

MODELS = Models({n: ModelSettings(random="chat", random_seed=i) for i, n in enumerate("abc")})
TEACHERS = Teachers({"x": TeacherSettings(model="a"), "y": TeacherSettings(model="b")})


@step(label=("alpha",))
def rewards(models: Models, teachers: Teachers, label: LabelSettings, seed: int) -> None:
    """Stand in for a node."""


def read(function: Any = rewards, inputs: dict[str, str] | None = None, **changes: Any) -> dict:
    values = {"models": MODELS, "teachers": TEACHERS, "label": LabelSettings(), "seed": 7}
    settings = {name: (name, value) for name, value in {**values, **changes}.items()}
    return reading(
        function, settings, inputs or {"quality": "1"}, lambda n, m: {"weights_id": str(m.source)}
    )


def test_a_node_sees_what_it_reads_and_the_models_that_this_names() -> None:
    label = LabelSettings(alpha=0.9, unsolved="leave_out", scoring_pack_tokens=8)
    handed = hand(
        {"models": MODELS, "teachers": TEACHERS, "label": label, "seed": 7},
        Step(reads={"label": ("alpha",)}),
    )
    # unsolved is its default again; a batch size has no effect on results, and reaches every node
    assert handed["label"] == LabelSettings(alpha=0.9, scoring_pack_tokens=8)
    assert list(handed["models"].root) == ["a", "b"]
    assert handed["teachers"] == TEACHERS and handed["seed"] == 7


def test_models_are_named_by_what_is_read_alone() -> None:
    router = TrainRouterSettings(backbone="c")
    assert models_named(router) == {"backbone": "c"}
    assert models_named(router, ("batch_size",)) == {}
    quality = QualitySettings(kind="reward_model", model="b")
    assert models_named(LabelSettings(quality=quality), ("quality",)) == {"quality.model": "b"}
    assert models_named(LabelSettings(quality=quality), ("alpha",)) == {}
    assert models_named(TEACHERS, ("price",)) == {"x.model": "a", "y.model": "b"}  # read whole


def test_code_of_ones_own_is_named_by_what_is_read_where_it_moves_results() -> None:
    label = LabelSettings(quality=QualitySettings(kind="q.py:f"), learnability="s.py:g")
    assert own_code_named(label) == ["q.py:f", "s.py:g"]
    assert own_code_named(label, ("learnability",)) == ["s.py:g"]
    assert own_code_named(CompareRoutersSettings(kinds=["knn", "r.py:R"])) == ["r.py:R"]
    assert own_code_named(EngineSettings(name="e.py:engine")) == []  # recorded beside its answers


def test_settings_without_effect_are_left_out_and_a_pool_keeps_its_order() -> None:
    engine = EngineSettings(chunk_size=3, max_model_len=99)
    assert lasting(engine) == {"max_model_len": 99}
    assert [name for name, _ in lasting(TEACHERS)] == ["x", "y"]
    assert set(lasting(TEACHERS)[0][1]) == {"model", "system", "sampling"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"label": LabelSettings(alpha=0.5)}, "label.alpha was 0.4, is 0.5"),
        ({"seed": 8}, "seed was 7, is 8"),
        (
            {"teachers": Teachers(dict(reversed(TEACHERS.root.items())))},
            "the order of teachers changed",
        ),
        (
            {"teachers": Teachers({**TEACHERS.root, "z": TeacherSettings(model="c")})},
            "teachers.z is new",
        ),
        ({"inputs": {"quality": "2"}}, "quality changed"),
        (
            {"models": Models({**MODELS.root, "b": ModelSettings(random="chat")})},
            "models.b.weights_id was .*, is .*",
        ),
    ],
)
def test_a_change_of_what_is_read_shows_and_is_named(changes: dict[str, Any], why: str) -> None:
    before = json.loads(json.dumps(read()))  # as it comes back from a file
    now = read(**changes)
    assert fingerprint(before) != fingerprint(now)
    assert re.fullmatch(why, difference(before, now))


@pytest.mark.parametrize(
    "changes",
    [
        {"label": LabelSettings(unsolved="leave_out", vocabulary_chunk=1)},  # not read
        {"models": Models({**MODELS.root, "c": ModelSettings(random="base")})},  # not named
        {"teachers": Teachers({**TEACHERS.root, "y": TeacherSettings(model="b", price=9)})},
    ],
)
def test_a_change_of_what_is_not_read_does_not(changes: dict[str, Any]) -> None:
    assert fingerprint(read(**changes)) == fingerprint(read())


@step()
def made(prepare: PrepareSettings, seed: int) -> None:
    """Stand in for a node that reads the prompts."""


@step()
def checked(quality_store: Any) -> None:
    """Stand in for a node that compares answers with references."""


@step()
def generated(generate: GenerateSettings, quality_store: Any) -> None:
    """Stand in for a node that may compare them."""


def test_the_packages_that_make_prompts_and_judge_answers_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read_all(verification: str = "drop") -> list[dict]:
        task = {"tasks": [{"name": "chain_sum", "size": 2}]}
        prepare = PrepareSettings.model_validate({"source": task})
        generate = GenerateSettings.model_validate({"verification": verification})
        return [
            reading(made, {"prepare": ("prepare", prepare), "seed": ("seed", 7)}, {}, None),
            reading(checked, {}, {}, None),
            reading(generated, {"generate": ("generate", generate)}, {}, None),
        ]

    before, kept = read_all(), read_all("keep")[2]
    for module in (identities, exact_answer):
        monkeypatch.setattr(module, "version", lambda package: f"{package} 99")
    now = read_all()
    whys = [difference(*pair).partition(" was ")[0] for pair in zip(before, now, strict=True)]
    assert whys == ["prompts_read", "exact_answer.math_verify", "exact_answer.math_verify"]
    assert read_all("keep")[2] == kept  # it compares nothing


@step(models=("family",))
def by_family(models: Models, teachers: Teachers, label: LabelSettings, seed: int) -> None:
    """Stand in for a node that reads the models' families."""


def test_a_family_counts_only_where_it_is_read() -> None:
    named = {"models": Models({**MODELS.root, "b": MODELS.root["b"].model_copy(
        update={"family": "q"})})}  # fmt: skip
    assert fingerprint(read(**named)) == fingerprint(read())
    before, now = read(by_family), read(by_family, **named)
    assert difference(before, now) == "models.b.family was None, is 'q'"


def test_the_rubrics_of_all_groups_that_name_judges_count() -> None:
    judge = {"kind": "judge", "model": "a", "rubric": "correctness"}
    label = LabelSettings.model_validate({"quality": judge})
    kinds = {"exact": {}, "judge": {**judge, "rubric": "instruction_following"}}
    compared = CompareQualitySettings.model_validate({"kinds": kinds})
    record = read(judge_answers, settings=compared, label=label)
    assert sorted(record["rubrics"]) == ["correctness", "instruction_following"]


def test_a_router_is_measured_with_the_model_that_it_reads_prompts_with() -> None:
    """Routers like it are fitted for its learning curve."""
    models = {**SHORTEST["models"], "reader": {"random": "chat", "random_seed": 2}}
    router = {"kind": "knn", "backbone": "reader"}
    settings = read_settings({**SHORTEST, "models": models, "train_router": router})
    measured = register_pipelines()["train_router"].only_nodes_with_outputs("router_metrics")
    assert set(models_of(measured, settings)) == {"a", "b", "reader"}


def test_a_raised_step_version_shows() -> None:
    @step(version=2, label=("alpha",))
    def raised(models: Any, teachers: Any, label: Any, seed: Any) -> None: ...

    assert difference(read(), read(raised)) == "step version 1 is now 2"


def test_every_node_is_marked_and_reads_settings_that_there_are() -> None:
    groups = read_settings(SHORTEST)
    for made in sum(register_pipelines().values(), Pipeline([])).nodes:
        mark = made.func.step  # type: ignore[attr-defined]
        for argument, fields in mark.reads.items():
            group = getattr(groups, settings_of(made)[argument])
            kinds = {Models: ModelSettings, Teachers: TeacherSettings}
            kind = kinds.get(type(group), type(group))
            assert set(fields) <= {*kind.model_fields, "price_factor"}, made.name
