"""Does a model's chat template take these roles? Seen before anything is paid for."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.load import load_tokenizer
from persyn_kedro.foundations.models.rendering import render_messages
from persyn_kedro.foundations.prompts.conversation import Message

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel


def check_roles(model: "ResolvedModel", asked: Mapping[str, Sequence[Message]], user: str) -> None:
    """Render one conversation of each pattern of roles, with the tokenizer alone.

    Args:
        asked: the messages by the id of a prompt with their roles.
        user: the setting that names the model, for the error.

    Raises:
        PersynError: the template rejects one; names the prompt, its roles and the model.
    """
    tokenizer = load_tokenizer(model)
    for prompt_id, messages in asked.items():
        try:
            render_messages(tokenizer, messages)
        except PersynError as error:
            roles = ", ".join(message.role for message in messages)
            raise PersynError(
                f"Prompt {prompt_id} cannot be given to model {model.name!r} ({user}) as messages "
                f"of {roles}; leave out such rows, or set models.{model.name}.chat_template to one "
                f"that takes them: {error}"
            ) from error
