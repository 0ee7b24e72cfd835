"""The template for students without a chat template of their own."""

BASE_TEMPLATE = (
    "{% if bos_token %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ message['content'] }}{% if eos_token %}{{ eos_token }}{% endif %}"
    "{% else %}{{ message['content'] + '\\n\\n' }}{% endif %}"
    "{% endfor %}"
)
"""Jinja of ``{bos}{system}\\n\\n{prompt}\\n\\n{response}{eos}``.

The system part appears only with a system message, ``bos`` and ``eos`` only if the tokenizer has
them. Saved as the trained student's chat template, so that it is prompted as it was trained.
"""
