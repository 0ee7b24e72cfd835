"""What every engine takes and gives, and the rules that keep their responses comparable."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import rendering
from persyn_kedro.foundations.settings.models import EngineSettings, SamplingSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel


@dataclass(frozen=True, slots=True)
class Request:
    """One response wanted. ``seed`` is the request's own, so that order does not matter."""

    key: str
    prompt: str
    system: str | None
    sampling: SamplingSettings
    seed: int


@dataclass(frozen=True)
class Generation:
    """What came back: ``finish_reason`` is stop, length or error, ``error`` null unless it is.

    ``completion_tokens`` counts all tokens generated, with the one that ended the turn. ``asked``
    is False where the prompt was set aside before the model saw it. ``unknown`` counts tries that
    may have been charged although nothing says how much. ``remedy``, beside an ``error``, says what
    to do where every other request would fail too, and ends the asking; ``{teacher}`` in it stands
    for the teacher's name. ``unknown_reason`` is a server's own word for how the response ended
    where nobody knows it: ``finish_reason`` is then what the settings take it for.
    """

    key: str
    response: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    error: str | None = None
    asked: bool = True
    unknown: int = 0
    remedy: str | None = None
    unknown_reason: str | None = None


@dataclass(frozen=True)
class Prepared:
    """A request rendered to token ids, with the tokens that fit behind them in the context."""

    request: Request
    prompt_ids: Sequence[int]
    max_tokens: int


def failed(request: Request, error: str, prompt_tokens: int = 0, asked: bool = True) -> Generation:
    """Return the generation of a request that got no response."""
    return Generation(request.key, "", "error", prompt_tokens, 0, error, asked)


@dataclass(frozen=True)
class Turns:
    """How a model's prompts become token ids, and its token ids answers.

    Attributes:
        context: the tokens that prompt and response may have together.
        stop_ids: the tokens that end a response.
    """

    tokenizer: Any
    context: int
    stop_ids: set[int]

    @classmethod
    def of(cls, model: "ResolvedModel", engine: EngineSettings) -> "Turns":
        """Load a model's tokenizer, and no weights."""
        from transformers import AutoConfig

        from persyn_kedro.foundations.models.load import load_tokenizer, readable

        tokenizer = load_tokenizer(model)
        with readable(model):
            config = AutoConfig.from_pretrained(
                model.directory, trust_remote_code=model.settings.allow_remote_code
            )
        return cls(tokenizer, context_length(config, engine), stop_token_ids(tokenizer, model))

    def prepare(self, request: Request) -> Prepared | Generation:
        """As ``prepare``."""
        return prepare(request, self.tokenizer, self.context)

    def finish(self, prepared: Prepared, token_ids: list[int]) -> Generation:
        """As ``finish``."""
        return finish(prepared, token_ids, self.stop_ids, self.tokenizer)


def context_length(config: Any, engine: EngineSettings) -> int:
    """Return the tokens that prompt and response may have together.

    ``engine.max_model_len``, or the model's own limit (in its Transformers ``config``) if lower.
    """
    own = getattr(config.get_text_config(), "max_position_embeddings", None)
    return min(engine.max_model_len, own or engine.max_model_len)


def stored_context_length(directory: Path, engine: EngineSettings) -> int:
    """Return ``context_length`` from the directory's config.json, without Transformers."""
    path = directory / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    own = {**config, **config.get("text_config", {})}.get("max_position_embeddings")
    return min(engine.max_model_len, own or engine.max_model_len)


def prepare(request: Request, tokenizer: Any, context: int) -> Prepared | Generation:
    """Render a request. A prompt that cannot be rendered or fills the context has failed.

    Raises:
        PersynError: if the template refuses every prompt, such as one with a system message.
    """
    try:
        ids = rendering.render_prompt(tokenizer, request.system, request.prompt)
    except PersynError as error:
        rendering.render_prompt(tokenizer, request.system, "Hello")  # raises if no prompt can do
        return failed(request, str(error), asked=False)
    room = context - len(ids)
    if room < 1:
        return failed(
            request,
            f"The prompt's {len(ids)} tokens leave no room in {context}.",
            len(ids),
            asked=False,
        )
    return Prepared(request, ids, min(request.sampling.max_new_tokens, room))


def finish(
    prepared: Prepared, token_ids: list[int], stop_ids: set[int], tokenizer: Any
) -> Generation:
    """Turn generated ``token_ids`` (cut after the first stop token) into a generation.

    A response cut off by the context, not by ``max_new_tokens``, is an error: kept, it would be
    taken for the teacher's answer also where the context is longer.
    """
    request, prompt_tokens = prepared.request, len(prepared.prompt_ids)
    stop = next((place for place, token in enumerate(token_ids) if token in stop_ids), None)
    count = len(token_ids) if stop is None else stop + 1
    if stop is None and prepared.max_tokens < request.sampling.max_new_tokens:
        error = (
            f"The response did not end in the {prepared.max_tokens} tokens that the context left."
        )
        return Generation(request.key, "", "error", prompt_tokens, count, error)
    text = tokenizer.decode(
        token_ids[:stop], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return Generation(request.key, text, "length" if stop is None else "stop", prompt_tokens, count)


def stop_token_ids(tokenizer: Any, model: "ResolvedModel") -> set[int]:
    """Return the ids that end a response: the tokenizer's, the model's and the template's.

    The model's are ``eos_token_id`` in its generation_config.json; the template's is the first
    special token that it puts after an assistant's turn.
    """
    ids = {tokenizer.eos_token_id}
    path = model.directory / "generation_config.json"
    if path.exists():
        own = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
        ids.update(own if isinstance(own, list) else [own])
    ids.update(rendering.end_of_turn_ids(tokenizer))
    return {id_ for id_ in ids if id_ is not None}
