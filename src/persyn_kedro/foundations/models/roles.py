"""Does a model's chat template take these roles? Seen before anything is paid for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.load import load_tokenizer
from persyn_kedro.foundations.models.rendering import render_messages
from persyn_kedro.foundations.prompts.conversation import Message

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel


@dataclass(frozen=True)
class Asked:
    """What a model will be asked: one conversation of each pattern of roles.

    Attributes:
        messages: by the id of a prompt with these roles.
        user: the setting that names the model, for the error.
    """

    model: "ResolvedModel"
    messages: Mapping[str, Sequence[Message]]
    user: str


def check_roles(asked: Iterable[Asked]) -> None:
    """Render each conversation, with the tokenizer alone.

    This imports Transformers and torch: run it in a child process.

    Raises:
        PersynError: a template rejects one; names the prompt, its roles and the model.
    """
    tokenizers: dict[str, Any] = {}
    for each in asked:
        if each.model.name not in tokenizers:
            tokenizers[each.model.name] = load_tokenizer(each.model)
        tokenizer = tokenizers[each.model.name]
        for prompt_id, messages in each.messages.items():
            try:
                render_messages(tokenizer, messages)
            except PersynError as error:
                name, roles = each.model.name, ", ".join(message.role for message in messages)
                raise PersynError(
                    f"Prompt {prompt_id} cannot be given to model {name!r} ({each.user}) as "
                    f"messages of {roles}; leave out such rows, or set models.{name}.chat_template "
                    f"to one that takes them: {error}"
                ) from error
