"""Generation on a Ray cluster: vLLM through Ray Data's LLM inference, other engines in its actors.

This process is the driver: it renders prompts and reads answers, and loads no weights.
"""

import importlib.util
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.engines import (
    plugin as own_engine,
    transformers as transformers_engine,
    vllm as vllm_engine,
)
from persyn_kedro.domain.engines.base import Generation, Prepared, Request, Turns, failed
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.models.resolve import here
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.models import EngineSettings, SamplingSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

CARRIED = ("key", "max_new_tokens", "max_tokens", "prompt_tokens")  # through vLLM, with the answer


def environment(engine: EngineSettings) -> dict[str, str]:
    """Return no variables: the actors have their own."""
    return {}


def install() -> str | None:
    """Return how Ray is installed, or None if it is."""
    return None if importlib.util.find_spec("ray") else "`pip install -e '.[ray]'`"


def generate(
    requests: Iterable[Request],
    model: "ResolvedModel",
    engine: EngineSettings,
    cluster: ClusterSettings,
) -> Iterator[Generation]:
    """Yield a generation for each request, ``engine.chunk_size`` at a time as they are finished.

    As many as the model's ``replicas`` answer at once. The requests wait in Ray's object store,
    which spills to disk, and not in this process. What a dead node was answering is asked again
    elsewhere, and may come twice.
    """
    answers = _through_vllm if engine.inside == "vllm" else _through_actors
    with closing(answers(requests, model, engine, cluster)) as generations:
        yield from generations


def _through_actors(
    requests: Iterable[Request],
    model: "ResolvedModel",
    engine: EngineSettings,
    cluster: ClusterSettings,
) -> Generator[Generation, None, None]:
    from persyn_kedro.foundations.processes.ray.actors import map_blocks

    iterator = iter(requests)
    blocks = iter(lambda: list(islice(iterator, engine.chunk_size)), [])
    chunks = map_blocks(
        _start_inside,
        (model, engine.model_copy(update={"name": engine.inside})),
        blocks,
        cluster,
        actors=model.settings.replicas,
        accelerator=model.settings.accelerator,
    )
    with closing(chunks):
        for _, generations in chunks:
            yield from generations


def _start_inside(
    model: "ResolvedModel", engine: EngineSettings
) -> Callable[[Sequence[Request]], Iterable[Generation]]:
    """Load the model in an actor; a function of the user's own loads what it needs by itself."""
    model = here(model)
    if engine.name == "transformers":
        return transformers_engine.start(model, engine)
    return partial(own_engine.generate, model=model, engine=engine)


def _through_vllm(
    requests: Iterable[Request],
    model: "ResolvedModel",
    engine: EngineSettings,
    cluster: ClusterSettings,
) -> Generator[Generation, None, None]:
    """Ask vLLM by ``ray.data.llm``: token ids in, token ids out, as our own vLLM engine does."""
    turns = Turns.of(model, engine)
    set_aside: list[Generation] = []
    rows = _rows(requests, turns, set_aside)
    with closing(_answered(rows, model, engine, cluster, turns.context)) as answers:
        for row in answers:
            prepared = _prepared(row)
            if row["__inference_error__"]:
                error = f"vLLM on the cluster: {row['__inference_error__']}"
                yield failed(prepared.request, error, len(prepared.prompt_ids))
            else:
                yield turns.finish(prepared, list(row["token_ids"]))
    yield from set_aside


def _rows(
    requests: Iterable[Request], turns: Turns, set_aside: list[Generation]
) -> Iterator[dict[str, Any]]:
    """Yield what vLLM is to be asked, with what ``_prepared`` needs; note what cannot be asked."""
    for request in requests:
        prepared = turns.prepare(request)
        if isinstance(prepared, Generation):
            set_aside.append(prepared)
            continue
        yield {
            "key": request.key,
            "max_new_tokens": request.sampling.max_new_tokens,
            "max_tokens": prepared.max_tokens,
            "prompt_tokens": len(prepared.prompt_ids),
            "tokenized_prompt": list(prepared.prompt_ids),
            "sampling_params": vllm_engine.sampling_arguments(prepared, turns.stop_ids),
        }


def _prepared(row: dict[str, Any]) -> Prepared:
    """Return the request of an answer's row, as far as ``Turns.finish`` looks at it."""
    sampling = SamplingSettings(max_new_tokens=row["max_new_tokens"])
    request = Request(row["key"], "", None, sampling, 0)
    return Prepared(request, range(row["prompt_tokens"]), row["max_tokens"])


def _answered(
    rows: Iterable[dict[str, Any]],
    model: "ResolvedModel",
    engine: EngineSettings,
    cluster: ClusterSettings,
    context: int,
) -> Generator[dict[str, Any], None, None]:
    """Yield each row with its ``token_ids`` or ``__inference_error__``, chunk by chunk."""
    import pyarrow as pa
    import ray

    from persyn_kedro.foundations.processes.ray.cluster import connect

    connect(cluster)
    iterator = iter(rows)
    chunks = iter(lambda: list(islice(iterator, engine.chunk_size)), [])
    waiting = [ray.put(pa.Table.from_pylist(chunk)) for chunk in chunks]
    if not waiting:
        return
    answered = _processor(model, engine, cluster, context)(ray.data.from_arrow_refs(waiting))
    begun = False
    for batch in answered.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        if not begun:
            progress.loaded()
            begun = True
        # Rows with an error come without what ``_wanted`` makes.
        names = {*CARRIED, "token_ids", "__inference_error__"} & set(batch.column_names)
        yield from batch.select(sorted(names)).to_pylist()


def _processor(
    model: "ResolvedModel", engine: EngineSettings, cluster: ClusterSettings, context: int
) -> Callable[[Any], Any]:
    """Return Ray's processor: one stage, vLLM, that finds the model on the node it is on."""
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    arguments = vllm_engine.engine_arguments(model, engine, context, on_cpu=not cluster.gpus)
    del arguments["model"]
    config = vLLMEngineProcessorConfig(
        model_source=str(model.directory),
        engine_kwargs={**arguments, "disable_log_stats": True},
        batch_size=engine.chunk_size,
        # One more than the engine has room for, so that no chunk's last answers hold it up.
        max_concurrent_batches=math.ceil(engine.max_num_seqs / engine.chunk_size) + 1,
        concurrency=model.settings.replicas,
        accelerator_type=model.settings.accelerator or cluster.accelerator,
        placement_group_config={
            "bundle_per_worker": {"CPU": cluster.cpus, "GPU": cluster.gpus},
            # Tensors are split within a node, layers between nodes.
            "strategy": "STRICT_PACK" if arguments["pipeline_parallel_size"] == 1 else "PACK",
        },
        runtime_env={"env_vars": vllm_engine.environment(engine)},
        should_continue_on_error=True,  # an error is a row
        log_engine_metrics=False,
        chat_template_stage=False,  # rendered and tokenized already, as everywhere
        tokenize_stage=False,
        detokenize_stage=False,
    )
    processor = build_processor(
        config,
        postprocess=_wanted,
        preprocess_map_kwargs={"num_cpus": 0},  # or they would wait for cores that vLLM holds
        postprocess_map_kwargs={"num_cpus": 0},
    )
    name = "vLLMEngineStage"
    stage = processor.get_stage_by_name(name)
    # A copy: an assignment would run the stage's validators again, which then ask for a GPU.
    processor.stages[name] = stage.model_copy(update={"fn": _finding(stage.fn, model)})
    return processor


def _wanted(row: dict[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in CARRIED}, "token_ids": list(row["generated_tokens"])}


def _finding(stage: type, model: "ResolvedModel") -> type:
    """Return Ray's vLLM stage, made to look for the model's files on its own node."""

    class Finding(stage):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **options: Any) -> None:
            progress.mute()
            super().__init__(*args, **{**options, "model": str(here(model).directory)})

    return Finding
