"""Generation on a Ray cluster: vLLM through Ray Data's LLM inference, other engines in its actors.

This process is the driver: it renders prompts and reads answers, and loads no weights.
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
from persyn_kedro.foundations.models.resolve import here
from persyn_kedro.foundations.processes.ray.cluster import connect, reachable
from persyn_kedro.foundations.settings.models import EngineSettings, SamplingSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

T = TypeVar("T")

CARRIED = ("key", "max_new_tokens", "max_tokens", "prompt_tokens")  # through vLLM, with the answer


class RayEngine(Engine):
    """Answers come ``chunk_size`` at a time, as many as the model's ``replicas`` make at once.

    The requests wait in Ray's object store, which spills to disk, and not in this process. What a
    dead node was answering is asked again elsewhere, and may come twice.
    """

    library = "ray"
    install_hint = "`pip install -e '.[ray]'`"

    @classmethod
    def models_at_once(cls, settings: EngineSettings) -> int:
        """Return as many as the settings allow: those without room wait."""
        return settings.models_at_once

    def set_up(self) -> None:
        """Have a cluster that the driver can reach; what ``local`` starts ends with this thread."""
        super().set_up()
        self.cluster = reachable(self.cluster)


class InActors(RayEngine):
    """Another engine, ``inside``, in actors that each load the model once."""

    inside: type[Engine]

    def set_up(self) -> None:
        """Look for what the engine inside needs too."""
        self._engine_inside().set_up()
        super().set_up()

    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield the generations of the actors, in no fixed order."""
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
    """The user's own function in actors; it loads what it needs by itself, for each chunk."""

    inside = PluginEngine


def _load_on_node(engine: Engine) -> Callable[[Sequence[Request]], Iterable[Generation]]:
    """Load the model in an actor, from where its node has it."""
    engine.model = here(engine.model)
    return engine.load().generate


class VllmOnRay(RayEngine):
    """vLLM by ``ray.data.llm``: token ids in, token ids out, as the local vLLM engine does."""

    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield the answers of vLLM's workers, then the requests that were set aside."""
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
            # Rows with an error come without what ``_wanted`` makes.
            names = {*CARRIED, "token_ids", "__inference_error__"} & set(batch.column_names)
            yield from batch.select(sorted(names)).to_pylist()

    def _processor(self, context: int) -> Callable[[Any], Any]:
        """Return Ray's processor: one stage, vLLM, that finds the model on the node it is on."""
        from ray.data.llm import build_processor, vLLMEngineProcessorConfig

        model, settings, cluster = self.model, self.settings, self.cluster
        arguments = vllm.engine_arguments(model, settings, context, on_cpu=not cluster.gpus)
        del arguments["model"]
        config = vLLMEngineProcessorConfig(
            model_source=str(model.directory),
            engine_kwargs={**arguments, "disable_log_stats": True},
            batch_size=settings.chunk_size,
            # One more than the engine has room for, so that no chunk's last answers hold it up.
            max_concurrent_batches=math.ceil(settings.max_num_seqs / settings.chunk_size) + 1,
            concurrency=model.settings.replicas,
            accelerator_type=model.settings.accelerator or cluster.accelerator,
            placement_group_config={
                "bundle_per_worker": {"CPU": cluster.cpus, "GPU": cluster.gpus},
                # Tensors are split within a node, layers between nodes.
                "strategy": "STRICT_PACK" if arguments["pipeline_parallel_size"] == 1 else "PACK",
            },
            runtime_env={"env_vars": vllm.VllmEngine.environment(settings)},
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


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, size)), [])


def _rows(
    requests: Iterable[Request], turns: Turns, set_aside: list[Generation]
) -> Iterator[dict[str, Any]]:
    """Yield what vLLM is asked, with what ``_prepared`` needs; set aside what cannot be asked."""
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
    """Return the request of an answer's row, as far as ``Turns.finish`` looks at it."""
    sampling = SamplingSettings(max_new_tokens=row["max_new_tokens"])
    request = Request(row["key"], "", None, sampling, 0)
    return Prepared(request, range(row["prompt_tokens"]), row["max_tokens"])


def _wanted(row: dict[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in CARRIED}, "token_ids": list(row["generated_tokens"])}


def _finding(stage: type, model: "ResolvedModel") -> type:
    """Return Ray's vLLM stage, made to look for the model's files on its own node."""

    class Finding(stage):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **options: Any) -> None:
            progress.mute()
            super().__init__(*args, **{**options, "model": str(here(model).directory)})

    return Finding
