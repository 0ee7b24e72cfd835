"""Models and pools that are refused before anything is loaded or paid for."""

import json
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import files as model_files, resolve as weights
from persyn_kedro.foundations.models.load import source_options
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.runs.pool_checks import check_pool
from tests.support.settings import SHORTEST


def directory(path: Path, config: dict[str, Any] | None = None, *files: str) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config or {"model_type": "llama"}))
    for file in files:
        (path / file).write_text("x")
    return path


@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.pt", "w.pth", "last.ckpt"])
def test_pickled_weights_are_refused_unless_allowed(tmp_path: Path, file: str) -> None:
    path = directory(tmp_path, None, file)
    with pytest.raises(PersynError, match=f"only pickled weights \\({file}\\).*allow_pickle"):
        weights.check_source("m", ModelSettings(local=str(path)))
    allowed = ModelSettings(local=str(path), allow_pickle=True)
    weights.check_source("m", allowed)
    assert source_options(weights.resolve_model("m", allowed))["use_safetensors"] is None
    with pytest.raises(PersynError, match=r"has no \*.safetensors"):
        (path / file).unlink()
        weights.check_source("m", allowed)


def test_pickles_beside_safetensors_are_not_read(tmp_path: Path) -> None:
    path = directory(tmp_path, None, "model.safetensors")
    settings = ModelSettings(local=str(path))
    before = weights.identify_weights("m", settings)
    (path / "pytorch_model.bin").write_text("harm")
    assert weights.identify_weights("m", settings) == before
    allowed = ModelSettings(local=str(path), allow_pickle=True)
    assert weights.identify_weights("m", allowed) != before


def test_code_of_its_own_is_refused_unless_allowed(tmp_path: Path) -> None:
    config = {"model_type": "mine", "auto_map": {"AutoModel": "modeling.Mine"}}
    path = directory(tmp_path, config, "model.safetensors", "modeling.py")
    settings = ModelSettings(local=str(path))
    with pytest.raises(PersynError, match="code of its own .*allow_remote_code"):
        weights.check_source("m", settings)
    allowed = ModelSettings(local=str(path), allow_remote_code=True)
    weights.check_source("m", allowed)
    before = weights.identify_weights("m", allowed)
    (path / "modeling.py").write_text("other")
    assert weights.identify_weights("m", allowed) != before  # code is part of what the model is


def test_code_beside_a_model_that_transformers_has_is_not_run(tmp_path: Path) -> None:
    config = {"model_type": "llama", "auto_map": {"AutoModel": "modeling.Mine"}}
    path = directory(tmp_path, config, "model.safetensors", "modeling.py")
    settings = ModelSettings(local=str(path))
    weights.check_source("m", settings)
    resolved = weights.resolve_model("m", settings)
    assert source_options(resolved) == {"trust_remote_code": False, "use_safetensors": True}
    assert not any("py" in pattern for pattern in model_files.file_patterns(settings))


def test_code_of_a_tokenizer_is_refused_unless_allowed_or_not_needed(tmp_path: Path) -> None:
    path = directory(tmp_path, {"model_type": "mine"}, "model.safetensors", "tokenization.py")
    own = {"auto_map": {"AutoTokenizer": ["tokenization.Mine", None]}, "tokenizer_class": "Mine"}
    (path / "tokenizer_config.json").write_text(json.dumps(own))
    with pytest.raises(PersynError, match=f"{tmp_path} contains code .*allow_remote_code"):
        weights.check_source("m", ModelSettings(local=str(path)))
    weights.check_source("m", ModelSettings(local=str(path), allow_remote_code=True))
    known = {**own, "tokenizer_class": "PreTrainedTokenizerFast"}
    (path / "tokenizer_config.json").write_text(json.dumps(known))
    weights.check_source("m", ModelSettings(local=str(path)))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000])
def test_settings_files_that_are_no_json_objects_are_named(
    tmp_path: Path, name: str, text: str
) -> None:
    path = directory(tmp_path, None, "model.safetensors")
    (path / name).write_text(text)
    with pytest.raises(PersynError, match=f"Model 'm': .*/{name} is not a JSON object"):
        weights.check_source("m", ModelSettings(local=str(path)))


def test_what_is_allowed_belongs_to_hub_and_local_models() -> None:
    with pytest.raises(ValueError, match="are only for hub and local models"):
        ModelSettings(zoo="smollm2", allow_pickle=True)


def pool(**changes: Any) -> None:
    settings = read_settings({**SHORTEST, **changes})
    check_pool(settings)


@pytest.mark.parametrize("teachers", [{}, {"x": {"model": "a"}}])
def test_none_and_one_teacher_are_refused(teachers: dict) -> None:
    with pytest.raises(PersynError, match="Parameter teachers: routing needs at least two"):
        pool(teachers=teachers)


def test_the_same_teacher_twice_is_refused_and_two_prompts_of_one_model_are_not() -> None:
    pool(teachers={"x": {"model": "a"}, "y": {"model": "a", "system": "Be brief."}})
    pool(teachers={"x": {"model": "a"}, "y": {"model": "a", "row_system": "teacher"}})
    twins = {"x": {"model": "a", "price": 1}, "y": {"model": "b"}, "z": {"model": "a"}}
    with pytest.raises(PersynError, match="Teachers 'x' and 'z' are the same"):
        pool(teachers=twins)
    far = {"url": "http://h/v1", "model": "m"}
    for pair in (
        ({"random": "chat"}, {"random": "chat"}),  # one source, two names
        ({"endpoint": far}, {"endpoint": {**far, "url": "http://h/v1/", "max_tries": 1}}),
    ):
        models = {"a": pair[0], "b": pair[1], "c": {"random": "chat"}}
        with pytest.raises(PersynError, match="Teachers 'x' and 'y' are the same"):
            pool(models=models, student={"model": "c"}, train_router={"backbone": "c"})


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k", "repetition_penalty", "seed"])
def test_what_is_not_set_belongs_to_a_hosted_teacher(name: str) -> None:
    far = {"random": "chat"}, {"endpoint": {"url": "http://h/v1", "model": "m"}}
    models = dict(zip("ab", far, strict=True))
    pool(
        models=models, teachers={"x": {"model": "a"}, "y": {"model": "b", "sampling": {name: None}}}
    )
    with pytest.raises(PersynError) as caught:
        pool(teachers={"x": {"model": "a", "sampling": {name: None}}, "y": {"model": "b"}})
    assert str(caught.value) == (
        f"Parameter teachers.x.sampling.{name}: null is for hosted models only; model 'a' is "
        "local and needs a value."
    )


def test_twins_differ_by_their_requests_bodies_and_not_by_a_seed() -> None:
    far = {"url": "http://h/v1", "model": "m"}
    models = {"a": {"endpoint": far}, "b": {"endpoint": {**far, "extra_body": {"effort": "low"}}}}
    rest = {"student": {"model": "c"}, "train_router": {"backbone": "c"}}
    pool(models={**models, "c": {"random": "chat"}}, **rest)
    twins = {"x": {"model": "a"}, "y": {"model": "a", "sampling": {"seed": None}}}
    with pytest.raises(PersynError, match="Teachers 'x' and 'y' are the same"):
        pool(models={**models, "c": {"random": "chat"}}, teachers=twins, **rest)


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(PersynError, match=r"teachers.y.model: unknown model 'c'; available: a, b"):
        pool(teachers={"x": {"model": "a"}, "y": {"model": "c"}})


def test_a_reward_model_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    path = directory(tmp_path / "m", config, "model.safetensors")
    models = {"a": {"random": "chat"}, "b": {"random": "base"}, "judge": {"local": str(path)}}
    label = {"quality": {"kind": "reward_model", "model": "judge"}}
    with pytest.raises(PersynError, match="label.quality.model: 'judge' is not a reward model"):
        pool(models=models, label=label)
    config["architectures"] = ["LlamaForSequenceClassification"]
    directory(path, config)  # two labels are the default
    with pytest.raises(PersynError, match="label.quality.model: 'judge' in .* gives 2 scores"):
        pool(models=models, label=label)
    directory(path, {**config, "id2label": {"0": "LABEL_0"}})
    pool(models=models, label=label)
    with pytest.raises(
        PersynError, match="label.quality.model: 'a' is not a hub or local reward model"
    ):
        pool(models=models, label={"quality": {"kind": "reward_model", "model": "a"}})


def test_a_judge_s_rubric_and_schema_are_refused_before_a_call() -> None:
    quality = {"kind": "judge", "model": "a", "rubric": "mine.yaml"}
    with pytest.raises(PersynError, match=r"^The rubric mine.yaml cannot be read \(No such file"):
        pool(label={"quality": quality})
    schema = {**quality, "rubric": "correctness", "structured": True}
    with pytest.raises(
        PersynError, match=r"^Parameter label.quality.1.structured: model 'a' is loc"
    ):
        pool(label={"quality": [{}, schema]}, engine={"name": "transformers"})
    pool(label={"quality": schema}, engine={"name": "vllm"})
