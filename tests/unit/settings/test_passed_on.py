"""Keys that go to a library as they are: refused with a reason, checked, and part of the record."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro import pool
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.marks import lasting, step_of
from persyn_kedro.foundations.settings.passed_on import check_fields
from persyn_kedro.foundations.settings.read import read_settings, with_groups
from persyn_kedro.foundations.settings.student import SftSettings
from persyn_kedro.foundations.settings.vllm_keys import unused_keys
from persyn_kedro.pipelines.fit_signal.nodes import select_answers
from tests.support.settings import SHORTEST


@dataclass
class Theirs:
    rate: float = 0.1
    names: list[str] | None = None
    window: tuple[int, int] = (0, 1)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rat": 1.0}, "Unknown parameter x.rat: Theirs has no such field; did you mean rate?"),
        ({"sizes": 1}, "Unknown parameter x.sizes: Theirs has no such field; did you mean size?"),
        ({"qq": 1}, "Unknown parameter x.qq: Theirs has no such field."),
        ({"rate": "1e-3"}, "Parameter x.rate: Input should be a valid number (it is '1e-3')."),
        ({"rate": True}, "Parameter x.rate: Input should be a valid number (it is True)."),
        ({"names": "a"}, "Parameter x.names: Input should be a valid array (it is 'a')."),
    ],
)
def test_a_library_s_fields_are_checked(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PersynError) as error:
        check_fields("x", given, Theirs, "Theirs", ["size"])
    assert str(error.value) == sentence


def test_what_fits_a_library_s_fields_is_accepted() -> None:
    check_fields("x", {"rate": 1, "names": ["a"], "window": [1, 2]}, Theirs, "Theirs")


@pytest.mark.parametrize(
    ("sft", "sentence"),
    [
        (
            {"trainer": {"packing": True}},
            "Parameter sft.trainer: packing cannot be set here: the rows are rendered",
        ),
        (
            {"trainer": {"num_train_epochs": 3}},
            "num_train_epochs cannot be set here: set sft.epochs",
        ),
        ({"trainer": {"use_liger_kernel": True}}, "cannot be set here: set sft.liger"),
        (
            {"trainer": {"report_to": "wandb"}},
            "report_to cannot be set here: the run tells the trackers of tracking.to",
        ),
        ({"lora": {"r": 8}}, "Parameter sft.lora: r cannot be set here: set rank"),
        ({"lora": {"init_lora_weights": "eva"}}, "init_lora_weights cannot be eva: it needs data"),
    ],
)
def test_what_is_set_elsewhere_is_refused(sft: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PersynError) as error:
        read_settings({**SHORTEST, "sft": sft})
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("group", "settings", "sentence"),
    [
        (
            "sft",
            {"precision": "bfloat16", "lora": {"base": "float32"}},
            "lora.base cannot be",
        ),
        (
            "sft",
            {"precision": "float32", "attention": "flash_attention_2"},
            "attention cannot be flash_attention_2 with precision float32",
        ),
        ("dpo", {"lora": {"dropout": 0.1}}, "lora.dropout has no effect while TRL's DPO disables"),
        (
            "dpo",
            {"trainer": {"label_smoothing_factor": 0.1}},
            "label_smoothing_factor cannot be set here: set dpo.trainer.label_smoothing",
        ),
    ],
)
def test_what_would_be_overridden_is_refused(
    group: str, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(PersynError) as error:
        read_settings({**SHORTEST, group: settings})
    assert sentence in str(error.value)


def test_dropout_in_dpo_may_be_asked_for() -> None:
    kept = {"lora": {"dropout": 0.1}, "trainer": {"disable_dropout": False}}
    assert read_settings({**SHORTEST, "dpo": kept}).dpo.lora is not None


def test_the_adapters_of_fit_signal_have_no_base_that_sft_overrides() -> None:
    settings = read_settings(
        {
            **SHORTEST,
            "sft": {"precision": "bfloat16"},
            "fit_signal": {"lora": {"base": "float32"}},
        }
    )
    check = step_of(select_answers).check
    assert check is not None
    with pytest.raises(PersynError, match=r"^Parameter fit_signal: lora\.base cannot be float32"):
        check(
            fit_signal=settings.fit_signal,
            sft=settings.sft,
            label=settings.label,
            cluster=settings.cluster,
        )


def test_every_key_is_part_of_the_record_but_those_of_no_effect() -> None:
    before = lasting(SftSettings())
    assert before.keys() == {
        "epochs", "batch_size", "gradient_accumulation", "learning_rate", "warmup_fraction",
        "max_length", "precision", "gradient_checkpointing", "lora",
    }  # fmt: skip
    assert lasting(SftSettings(trainer={"log_level": "error"}, save_steps=3)) == before
    own = {"weight_decay": 0.1, "disable_tqdm": False}
    assert lasting(SftSettings(trainer=own)) == {**before, "trainer": {"weight_decay": 0.1}}
    plain, dora = (lasting(SftSettings(lora=lora))["lora"] for lora in ({}, {"use_dora": True}))
    assert dora == {**plain, "use_dora": True}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"engine": {"vllm": {"seed": 1}}}, "Parameter engine.vllm: seed cannot be set here: the"),
        (
            {"engine": {"vllm": {"max_model_len": 1}}},
            "max_model_len cannot be set here: set engine.max_model_len",
        ),
        (
            {"engine": {"vllm": {"structured_outputs_config": {"backend": "xgrammar"}}}},
            "structured_outputs_config cannot be set here: only a judge's replies",
        ),
        (
            {"models": {"a": {"random": "chat", "vllm": {"dtype": "half"}}}},
            "Parameter models.a.vllm: dtype cannot be set here: set models.<name>.dtype",
        ),
        (
            {"models": {"a": {"endpoint": {"url": "http://h/v1", "model": "m"}, "vllm": {"x": 1}}}},
            "vllm cannot be set for an endpoint: its server runs the model",
        ),
    ],
)
def test_what_vllm_is_not_asked_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PersynError) as error:
        read_settings({**SHORTEST, **changes})
    assert sentence in str(error.value)


def test_what_is_set_for_all_models_is_laid_under_each_local_one_s_own() -> None:
    models = {
        "a": {"random": "chat", "vllm": {"quantization": "fp8"}},
        "b": {"random": "base"},
        "far": {"endpoint": {"url": "http://h/v1", "model": "m"}},
    }
    common = {"quantization": "awq", "block_size": 32}
    raw = {**SHORTEST, "models": models, "engine": {"vllm": common}}
    found = read_settings(with_groups(raw)).models.root  # as a run does: twice
    assert found["a"].vllm == {"quantization": "fp8", "block_size": 32}
    assert found["b"].vllm == common
    assert found["far"].vllm == {}
    assert models["b"] == {"random": "base"}


def test_a_pool_of_the_python_api_gets_it_too(tmp_path: Path) -> None:
    made = pool(
        {"a": {"random": "chat"}},
        {"x": {"model": "a"}, "y": {"model": "a", "system": "Be brief."}},
        "a",
        engine={"vllm": {"quantization": "fp8"}},
        stores=tmp_path,
    )
    assert made.models.root["a"].vllm == {"quantization": "fp8"}


@pytest.mark.parametrize("name", ["transformers", "ray"])
def test_another_engine_leaves_them_unused_and_out_of_the_answers_identity(name: str) -> None:
    models = {"a": {"random": "chat", "vllm": {"quantization": "fp8"}}, "b": {"random": "base"}}
    engine = {"vllm": {"kv_cache_dtype": "fp8"}, "name": name, "inside": "transformers"}
    raw = {**SHORTEST, "models": models, "engine": engine}
    for found in (read_settings(raw), read_settings(with_groups(raw))):
        assert [model.vllm for model in found.models.root.values()] == [{}, {}]
    assert unused_keys(raw) == (
        "Engine transformers does not read engine.vllm, models.a.vllm: without effect"
    )
    assert unused_keys({**raw, "engine": {"name": "ray"}}) == unused_keys(SHORTEST) == ""
    wrong = {**models, "a": {"random": "chat", "vllm": {"dtype": "half"}}}
    with pytest.raises(PersynError, match="vllm: dtype cannot be set here"):
        read_settings({**raw, "models": wrong})


def test_a_pool_says_what_its_engine_does_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "persyn_kedro")
    models = {"a": {"random": "chat", "vllm": {"quantization": "fp8"}}}
    teachers = {"x": {"model": "a"}, "y": {"model": "a", "system": "Be brief."}}
    made = pool(models, teachers, "a", engine="transformers", stores=tmp_path)
    assert made.models.root["a"].vllm == {}
    assert "Engine transformers does not read models.a.vllm: without effect" in caplog.messages
