"""Generation on a Ray cluster: vLLM through Ray Data's LLM inference, other engines in actors.

This process is the driver: it renders prompts and decodes answers, but loads no weights.
"""

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from persyn_kedro.domain.engines import vllm
from persyn_kedro.domain.engines.base import Engine, Generation, Request, failed
from persyn_kedro.domain.engines.plugin import PluginEngine
from persyn_kedro.domain.engines.transformers import TransformersEngine
from persyn_kedro.domain.engines.turns import Prepared, Turns
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.extras import install
from persyn_kedro.foundations.models.resolve import here
from persyn_kedro.foundations.processes.ray.cluster import connect, reachable
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

T = TypeVar("T")

CARRIED = ("key", "max_new_tokens", "max_tokens", "prompt_tokens")  # returned with the answer


class RayEngine(Engine):
    """Answers ``chunk_size`` requests at a time, on each of the model's ``replicas`` in parallel.

    Requests wait in Ray's object store, which spills to disk, not in this process. Requests on a
    node that dies are retried elsewhere, so their answers may arrive twice.
    """

    loads_here = False
    library = "ray"
    install_hint = install("ray")

    @classmethod
    def models_at_once(cls, settings: EngineSettings) -> int:
        """Return the settings' limit; models without room on the cluster wait."""
        return settings.models_at_once

    def set_up(self) -> None:
        """Connect to a cluster; one started by ``local`` ends with this thread."""
        super().set_up()
        self.cluster = reachable(self.cluster)


class InActors(RayEngine):
    """Runs another engine, ``inside``, in actors that each load the model once."""

    inside: type[Engine]

    def set_up(self) -> None:
        """Set up the engine inside too."""
        self._engine_inside().set_up()
        super().set_up()

    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield the actors' generations, in no fixed order."""
        from persyn_kedro.foundations.processes.ray.actors import map_blocks

        chunks = map_blocks(
            _load_on_node,
            (self._engine_inside(),),
            _chunks(requests, self.settings.chunk_size),
            self.cluster,
            actors=self.model.settings.replicas,
            accelerator=self.model.settings.accelerator,
        )
        with closing(chunks):
            for _, generations in chunks:
                yield from generations

    def _engine_inside(self) -> Engine:
        settings = self.settings.model_copy(update={"name": self.settings.inside})
        return self.inside(self.model, settings, self.cluster)


class TransformersOnRay(InActors):
    """Transformers in actors."""

    inside = TransformersEngine


class PluginOnRay(InActors):
    """The user's own function in actors; it is called per chunk and must load its model itself."""

    inside = PluginEngine


def _load_on_node(engine: Engine) -> Callable[[Sequence[Request]], Iterable[Generation]]:
    """Load the model in an actor, from its path on that node."""
    engine.model = here(engine.model)
    return engine.load().generate


class VllmOnRay(RayEngine):
    """vLLM through ``ray.data.llm``: token ids in and out, like the local vLLM engine."""

    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield the answers of vLLM's workers, then the requests that could not be sent."""
        turns = Turns.of(self.model, self.settings)
        set_aside: list[Generation] = []
        with closing(self._answered(_rows(requests, turns, set_aside), turns.context)) as answers:
            for row in answers:
                prepared = _prepared(row)
                if row["__inference_error__"]:
                    error = f"vLLM on the cluster: {row['__inference_error__']}"
                    yield failed(prepared.request, error, len(prepared.prompt_ids))
                else:
                    yield turns.finish(prepared, list(row["token_ids"]))
        yield from set_aside

    def _answered(
        self, rows: Iterable[dict[str, Any]], context: int
    ) -> Generator[dict[str, Any], None, None]:
        """Yield each row with its ``token_ids`` or ``__inference_error__``, chunk by chunk."""
        import pyarrow as pa
        import ray

        connect(self.cluster)
        chunks = _chunks(rows, self.settings.chunk_size)
        waiting = [ray.put(pa.Table.from_pylist(chunk)) for chunk in chunks]
        if not waiting:
            return
        answered = self._processor(context)(ray.data.from_arrow_refs(waiting))
        batches = answered.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        for number, batch in enumerate(batches):
            if number == 0:
                progress.loaded()
            # Rows with an error lack the columns that ``_wanted`` adds.
            names = {*CARRIED, "token_ids", "__inference_error__"} & set(batch.column_names)
            yield from batch.select(sorted(names)).to_pylist()

    def _processor(self, context: int) -> Callable[[Any], Any]:
        """Return Ray's processor: one vLLM stage, which finds the model on its own node."""
        from ray.data.llm import build_processor, vLLMEngineProcessorConfig

        model, settings, cluster = self.model, self.settings, self.cluster
        arguments = vllm.engine_arguments(model, settings, context, on_cpu=not cluster.gpus)
        del arguments["model"]
        config = vLLMEngineProcessorConfig(
            model_source=str(model.directory),
            engine_kwargs={**arguments, "disable_log_stats": True},
            batch_size=settings.chunk_size,
            # One more than the engine has room for, so that it is not idle while a chunk finishes.
            max_concurrent_batches=math.ceil(settings.max_num_seqs / settings.chunk_size) + 1,
            concurrency=model.settings.replicas,
            accelerator_type=model.settings.accelerator or cluster.accelerator,
            placement_group_config={
                "bundle_per_worker": {"CPU": cluster.cpus, "GPU": cluster.gpus},
                # Tensor parallelism stays within a node; pipeline stages may span nodes.
                "strategy": "STRICT_PACK" if arguments["pipeline_parallel_size"] == 1 else "PACK",
            },
            runtime_env={"env_vars": vllm.VllmEngine.environment(settings)},
            should_continue_on_error=True,  # errors become rows
            log_engine_metrics=False,
            chat_template_stage=False,  # prompts are already rendered and tokenized
            tokenize_stage=False,
            detokenize_stage=False,
        )
        processor = build_processor(
            config,
            postprocess=_wanted,
            preprocess_map_kwargs={"num_cpus": 0},  # else they wait for vLLM's cores
            postprocess_map_kwargs={"num_cpus": 0},
        )
        name = "vLLMEngineStage"
        stage = processor.get_stage_by_name(name)
        # A copy, as assigning would rerun the stage's validators, which would require a GPU here.
        processor.stages[name] = stage.model_copy(update={"fn": _finding(stage.fn, model)})
        return processor


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, size)), [])


def _rows(
    requests: Iterable[Request], turns: Turns, set_aside: list[Generation]
) -> Iterator[dict[str, Any]]:
    """Yield vLLM's input, with what ``_prepared`` needs; ``set_aside`` gets failed requests."""
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
            "sampling_params": vllm.sampling_arguments(prepared, turns.stop_ids),
        }


def _prepared(row: dict[str, Any]) -> Prepared:
    """Return the request behind an answer's row, with only what ``Turns.finish`` reads."""
    sampling = SamplingSettings(max_new_tokens=row["max_new_tokens"])
    request = Request(row["key"], "", None, sampling, 0)
    return Prepared(request, range(row["prompt_tokens"]), row["max_tokens"])


def _wanted(row: dict[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in CARRIED}, "token_ids": list(row["generated_tokens"])}


def _finding(stage: type, model: "ResolvedModel") -> type:
    """Return Ray's vLLM stage, modified to find the model's files on its own node."""

    class Finding(stage):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **options: Any) -> None:
            progress.mute()
            super().__init__(*args, **{**options, "model": str(here(model).directory)})

    return Finding
