"""Convert requests to token ids and back, so that local engines give comparable responses."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.engines.base import Generation, Request, failed
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import rendering
from persyn_kedro.foundations.prompts.conversation import from_rows, with_system
from persyn_kedro.foundations.settings.engine import EngineSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel


@dataclass(frozen=True)
class Prepared:
    """A request rendered to token ids, and how many tokens may follow them."""

    request: Request
    prompt_ids: Sequence[int]
    max_tokens: int


@dataclass(frozen=True)
class Turns:
    """Converts a model's prompts to token ids, and its token ids to responses.

    Attributes:
        context: the tokens that prompt and response may have together.
        stop_ids: the tokens that end a response.
    """

    tokenizer: Any
    context: int
    stop_ids: set[int]

    @classmethod
    def of(cls, model: "ResolvedModel", settings: EngineSettings) -> "Turns":
        """Load a model's tokenizer, but no weights."""
        from transformers import AutoConfig

        from persyn_kedro.foundations.models.load import load_tokenizer, readable

        tokenizer = load_tokenizer(model)
        with readable(model):
            config = AutoConfig.from_pretrained(
                model.directory, trust_remote_code=model.settings.allow_remote_code
            )
        return cls(tokenizer, _context_length(config, settings), _stop_token_ids(tokenizer, model))

    def prepare(self, request: Request) -> Prepared | Generation:
        """Render a request; a prompt that cannot be rendered or fills the context has failed.

        Raises:
            PersynError: the template rejects every prompt, for example for its system message.
        """
        try:
            ids = rendering.render_messages(self.tokenizer, from_rows(request.messages))
        except PersynError as error:
            greeting = with_system("Hello", request.system)
            rendering.render_messages(self.tokenizer, greeting)  # raises if none can
            return failed(request, str(error), asked=False)
        room = self.context - len(ids)
        if room < 1:
            why = f"The prompt's {len(ids)} tokens leave no room in the context of {self.context}."
            return failed(request, why, len(ids), asked=False)
        return Prepared(request, ids, min(request.sampling.max_new_tokens, room))

    def finish(self, prepared: Prepared, token_ids: list[int]) -> Generation:
        """Turn generated ``token_ids`` (cut after the first stop token) into a generation.

        A response cut off by the context, not by ``max_new_tokens``, is an error: otherwise it
        would be reused as the teacher's answer even with a longer context.
        """
        request, prompt_tokens = prepared.request, len(prepared.prompt_ids)
        stop = next((place for place, id_ in enumerate(token_ids) if id_ in self.stop_ids), None)
        count = len(token_ids) if stop is None else stop + 1
        if stop is None and prepared.max_tokens < request.sampling.max_new_tokens:
            room = prepared.max_tokens
            why = f"The response did not end within the {room} tokens left in the context."
            return Generation(request.key, "", "error", prompt_tokens, count, why)
        text = self.tokenizer.decode(
            token_ids[:stop], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        reason = "length" if stop is None else "stop"
        return Generation(request.key, text, reason, prompt_tokens, count)


def _context_length(config: Any, settings: EngineSettings) -> int:
    """Return ``max_model_len``, or the limit in the model's Transformers ``config`` if lower."""
    own = getattr(config.get_text_config(), "max_position_embeddings", None)
    return min(settings.max_model_len, own or settings.max_model_len)


def _stop_token_ids(tokenizer: Any, model: "ResolvedModel") -> set[int]:
    """Return the ids that end a response: the tokenizer's, the model's and the template's.

    The model's are ``eos_token_id`` in its generation_config.json; the template's is the first
    special token that it appends to an assistant's turn.
    """
    ids = {tokenizer.eos_token_id}
    path = model.directory / "generation_config.json"
    if path.exists():
        own = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
        ids.update(own if isinstance(own, list) else [own])
    ids.update(rendering.end_of_turn_ids(tokenizer))
    return {id_ for id_ in ids if id_ is not None}
