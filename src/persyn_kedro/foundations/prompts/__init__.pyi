"""Prompts: plain texts, and conversations that end with the user's message."""

from .conversation import (
    Conversation as Conversation,
    Message as Message,
    Prompt as Prompt,
    as_prompt as as_prompt,
    from_rows as from_rows,
    messages_of as messages_of,
    prompt_id_of as prompt_id_of,
    with_system as with_system,
)
