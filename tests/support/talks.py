"""A conversation in its forms, for the tests of whatever takes one."""

from persyn_kedro.foundations.prompts.conversation import Conversation, Message

SYSTEM, USER = Message("system", "Be kind."), Message("user", "Hi")
ANSWER, AGAIN = Message("assistant", "Hello!"), Message("user", "1+1?")
TALK = Conversation((SYSTEM, USER, ANSWER, AGAIN))
OPENAI = [message._asdict() for message in TALK.messages]
SHAREGPT = [
    {"from": who, "value": message.content}
    for who, message in zip(("system", "human", "gpt", "human"), TALK.messages, strict=True)
]

# A template that takes no tool's message.
STRICT = """{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('No tools here.') }}
{%- endif %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
