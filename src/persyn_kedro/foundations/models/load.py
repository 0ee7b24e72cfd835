"""Load a resolved model's tokenizer and weights with transformers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from persyn_kedro.foundations.errors import PersynError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from persyn_kedro.foundations.models.resolve import ResolvedModel


def device() -> Literal["cuda", "mps", "cpu"]:
    """Return where models run: the GPU if torch sees one, CUDA's or (``mps``) Apple's."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def on_one_gpu(arguments: Any) -> Any:
    """Return a trainer's arguments, of one GPU per process even where several are visible.

    Transformers would spread a process's batches over all of them (``nn.DataParallel``), which
    TRL refuses once the model is loaded.
    """
    arguments._n_gpu = min(1, arguments.n_gpu)  # as Transformers sets it for split models
    return arguments


def source_options(resolved: "ResolvedModel") -> dict[str, bool | None]:
    """Return the options of every ``from_pretrained``: safetensors and no remote code, unless
    allowed."""
    settings = resolved.settings
    return {
        "trust_remote_code": settings.allow_remote_code,
        "use_safetensors": None if settings.allow_pickle else True,
    }


@contextmanager
def readable(resolved: "ResolvedModel") -> Iterator[None]:
    """Turn Transformers' error about files it cannot read into one sentence.

    Raises:
        PersynError: names the model and its directory.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise PersynError(
            f"Model {resolved.name!r} in {resolved.directory} cannot be loaded: {reason[0]}"
        ) from error


def load_tokenizer(resolved: "ResolvedModel") -> "PreTrainedTokenizerBase":
    """Return the tokenizer, with the model's effective chat template."""
    from transformers import AutoTokenizer

    with readable(resolved):
        tokenizer = AutoTokenizer.from_pretrained(
            resolved.directory, trust_remote_code=resolved.settings.allow_remote_code
        )
    tokenizer.chat_template = resolved.chat_template
    return tokenizer


def load_causal_lm(
    resolved: "ResolvedModel",
    dtype: str | None = None,
    shards: int = 1,
    place: str | None = None,
    **options: Any,
) -> "PreTrainedModel":
    """Return the language model, in evaluation mode.

    Args:
        dtype: a torch type's name (default: as in the settings).
        shards: if several, one for each process of the ``torch.distributed`` group, each process
            reads only its own from the files, and the parameters are those of torch's
            ``fully_shard``.
        place: a torch device (default: ``device``).
        options: further ones of ``from_pretrained``; one that is None is left out.

    Raises:
        PersynError: the files cannot be read, or the weights cannot be sharded.
    """
    import torch
    from transformers import AutoModelForCausalLM

    sharded = _sharding(resolved, shards) if shards > 1 else {}
    options = {name: value for name, value in options.items() if value is not None}
    with readable(resolved):
        model = AutoModelForCausalLM.from_pretrained(
            resolved.directory,
            dtype=getattr(torch, dtype or resolved.settings.dtype),
            **sharded,
            **options,
            **source_options(resolved),
        )
    placed = bool(sharded) or "device_map" in options
    return (model if placed else model.to(place or device())).eval()


def _sharding(resolved: "ResolvedModel", shards: int) -> dict[str, Any]:
    """Return the option of ``from_pretrained``."""
    from transformers.distributed import DistributedConfig

    check_shards(resolved, shards)
    return {"distributed_config": DistributedConfig(fsdp_size=shards)}


def check_shards(resolved: "ResolvedModel", shards: int) -> None:
    """Refuse tied embeddings whose rows cannot be divided evenly; reads no weights.

    Transformers ties them after each was sharded; their padding would then keep them separate in
    training.

    Raises:
        PersynError: names the model and the settings.
    """
    from transformers import AutoConfig

    with readable(resolved):
        config = AutoConfig.from_pretrained(
            resolved.directory, trust_remote_code=resolved.settings.allow_remote_code
        )
    rows = config.get_text_config().vocab_size
    if getattr(config, "tie_word_embeddings", False) and rows % shards:
        raise PersynError(
            f"Model {resolved.name!r}: {rows} rows of tied embeddings cannot be divided among "
            f"{shards} processes; set cluster.training_processes to a divisor of {rows}, or "
            "cluster.sharding to none."
        )
