"""Generation with vLLM's continuous batching, in this process (a child of the run's)."""

import logging
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from persyn_kedro.domain.engines.base import Engine, Generation, Request, failed
from persyn_kedro.domain.engines.turns import Prepared, Turns
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.extras import INSTALL_VLLM, is_installed
from persyn_kedro.foundations.processes.memory import uses_gpu
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.passed_on import check_fields
from persyn_kedro.foundations.settings.sampling import SamplingSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

_OUTLIVES = ("kv_transfer_config", "kv_offloading_size")  # prompts kept outside of vLLM's own cache


class VllmEngine(Engine):
    """Runs requests in vLLM's continuous batch and yields each as soon as it is finished."""

    stays = True
    library = "vllm"
    install_hint = INSTALL_VLLM

    _kept = False
    _llm_engine: Any = None

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

    def load(self) -> Self:
        """Keep vLLM from the first request on, until ``close``."""
        self._kept = True
        return self

    def rest(self) -> bool:
        """Forget the prompts; on a GPU, move the weights to main memory if vLLM's sleep mode is on.

        A prompt in the cache would be batched differently, and rounded differently. Where it might
        still be in one, vLLM ends.
        """
        own = self.model.settings.vllm
        if self._llm_engine is None or any(own.get(key) for key in _OUTLIVES):
            return False
        if not self._llm_engine.reset_prefix_cache():
            return False
        if uses_gpu() and not own.get("enable_sleep_mode"):
            return False
        if uses_gpu():
            self._llm_engine.sleep(level=1)
        return True

    def close(self) -> None:
        """End vLLM."""
        if self._llm_engine is not None:
            self._llm_engine.engine_core.shutdown()
            self._llm_engine = None

    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield a generation for each request as soon as it is finished.

        vLLM holds twice as many requests as it runs at once, so that it never waits for one.
        """
        turns = Turns.of(self.model, self.settings)
        running: dict[str, Prepared] = {}
        waiting = map(turns.prepare, requests)
        if self._llm_engine is not None and self._llm_engine.is_sleeping():
            self._llm_engine.wake_up()
        try:
            while True:
                more = False
                for prepared in islice(waiting, 2 * self.settings.max_num_seqs - len(running)):
                    more = True
                    if isinstance(prepared, Generation):
                        yield prepared
                        continue
                    if self._llm_engine is None:
                        structured = prepared.request.reply_schema is not None
                        self._llm_engine = _start(
                            self.model, self.settings, turns.context, structured
                        )
                        progress.loaded()
                    refused = _add(self._llm_engine, prepared, turns.stop_ids)
                    if refused:
                        yield refused
                    else:
                        running[prepared.request.key] = prepared
                if not running and not more:
                    return
                for output in self._llm_engine.step() if running else ():
                    if output.finished:
                        token_ids = list(output.outputs[0].token_ids)
                        yield turns.finish(running.pop(output.request_id), token_ids)
        finally:
            if not self._kept:
                self.close()


def _start(model: "ResolvedModel", settings: EngineSettings, context: int, structured: bool) -> Any:
    """Return vLLM's engine; ``structured``: its requests have a schema of the reply."""
    logging.getLogger("vllm").setLevel(logging.ERROR)  # start-up advice, a dozen lines per model
    warnings.simplefilter("ignore", FutureWarning)
    from vllm import LLM

    arguments = engine_arguments(model, settings, context)
    if structured:  # the schema becomes a grammar of the tokenizer's tokens
        # Of spaces outside of texts a weak model could make no end.
        grammar = {"backend": "guidance", "disable_any_whitespace": True}
        arguments |= {"skip_tokenizer_init": False, "tokenizer_mode": "hf",
                      "structured_outputs_config": grammar}  # fmt: skip
    return LLM(**arguments).llm_engine


def engine_arguments(
    model: "ResolvedModel", settings: EngineSettings, context: int, on_cpu: bool | None = None
) -> dict[str, Any]:
    """Return the arguments of vLLM's ``LLM``; ``on_cpu`` None means as on this machine."""
    if on_cpu is None:
        from persyn_kedro.foundations.models.load import device

        on_cpu = device() != "cuda"
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
        **model.settings.vllm,
    }


def check_arguments_job(given: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Check, where vLLM is installed, that each model's own arguments are some of vLLM's.

    Runs in a child process, as vLLM's import takes seconds; yields nothing. On a cluster whose
    driver lacks vLLM, vLLM itself refuses them.

    Raises:
        PersynError: names the key under ``given``'s, such as models.a.vllm.
    """
    if is_installed("vllm"):
        from vllm.engine.arg_utils import EngineArgs

        for place, arguments in given.items():
            check_fields(place, arguments, EngineArgs, "vLLM's EngineArgs")
    yield from ()


def _add(llm_engine: Any, prepared: Prepared, stop_ids: set[int]) -> Generation | None:
    """Add a request to vLLM; return the failed generation if vLLM rejects it."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    request, prompt = prepared.request, {"prompt_token_ids": prepared.prompt_ids}
    schema = request.reply_schema
    try:
        parameters = SamplingParams(
            **sampling_arguments(prepared, stop_ids),
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=StructuredOutputsParams(json=schema) if schema else None,
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
