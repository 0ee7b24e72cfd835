"""Chat templates that render the same messages to the same text, at any time and place.

A template sees more than its messages: the clock (``strftime_now``), arguments passed by name
(``enable_thinking``), and chance (``lipsum``, the filter ``random``). The first two are fixed by
Jinja statements put in front of it, which are saved with a model and mean the same to
Transformers, to vLLM and to the benchmark harness. Chance is refused.
"""

import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.templates.fixed_date import (
    CLOCK,
    DEFAULT_DATE,
    fixed_clock,
    reads_clock,
)
from persyn_kedro.foundations.templates.literals import literal

RESERVED = frozenset(
    # what Transformers' apply_chat_template takes itself
    "self conversation conversations messages tools documents chat_template add_generation_prompt "
    "continue_final_message tokenize padding truncation max_length return_tensors return_dict "
    "return_assistant_tokens_mask tokenizer_kwargs kwargs compiled_template "
    # what templates call
    "strftime_now raise_exception range dict lipsum cycler joiner namespace "
    # Jinja's keywords
    "true false none True False None loop super caller varargs fixed_by_persyn_kedro".split()
)
"""Names that no template argument may have."""

# The line ends where the template begins: Jinja drops the newline (trim_blocks).
_FIXED = re.compile(r"\A\{%- .*?set fixed_by_persyn_kedro = (\{[^\n]*\}) %\}\n", re.DOTALL)


def fixed_template(template: str, day: str | None, arguments: Mapping[str, Any]) -> str:
    """Return the template with its date and arguments fixed; unchanged if it has neither.

    What is already fixed in it stays, unless it is set again.

    Args:
        template: Jinja, as Transformers reads it.
        day: an ISO date; None: the template's own date, else ``DEFAULT_DATE``.
        arguments: JSON values by name.
    """
    before, body = what_is_fixed(template), _FIXED.sub("", template)
    fixed = {**before, **arguments}
    if reads_clock(body):
        fixed[CLOCK] = day or before.get(CLOCK, DEFAULT_DATE)
    if not fixed:
        return template
    fixed = dict(sorted(fixed.items()))
    lines = (
        fixed_clock(date.fromisoformat(value), body)
        if name == CLOCK
        else f"{{%- set {name} = {literal(value)} -%}}\n"
        for name, value in fixed.items()
    )
    told = json.dumps(fixed, ensure_ascii=False)
    return f"{''.join(lines)}{{%- set fixed_by_persyn_kedro = {told} %}}\n{body}"


def what_is_fixed(template: str) -> dict[str, Any]:
    """Return what ``fixed_template`` fixed: the arguments, and the date under ``strftime_now``."""
    found = _FIXED.match(template)
    return json.loads(found[1]) if found else {}


def check_template(name: str, template: str) -> None:
    """Refuse a template that draws random numbers.

    Raises:
        PersynError: names the model and what its template uses, or it is not valid Jinja.
    """
    from jinja2 import TemplateSyntaxError, nodes

    try:
        tree = _parse(template)
    except TemplateSyntaxError as error:
        raise PersynError(f"The chat template of {name!r} is not valid Jinja: {error}") from error
    used = {f"the filter {f.name}" for f in tree.find_all(nodes.Filter) if _draws(f)}
    used |= {"lipsum" for n in tree.find_all(nodes.Name) if n.name == "lipsum"}
    if used:
        raise PersynError(
            f"The chat template of model {name!r} uses {' and '.join(sorted(used))}, so its "
            "prompts differ from one time to the next; set the model's chat_template to one that "
            "does not."
        )


def _draws(found: Any) -> bool:
    """Return whether a filter is ``random``, or applies one that may be."""
    from jinja2 import nodes

    if found.name != "map":
        return found.name == "random"
    applied = found.args[0] if found.args else None
    unknown = applied is not None and not isinstance(applied, nodes.Const)
    return bool(unknown or found.dyn_args or (applied and applied.value == "random"))


def _parse(template: str) -> Any:
    from jinja2 import Environment, nodes
    from jinja2.ext import Extension, loopcontrols

    class Generation(Extension):
        """Transformers' ``{% generation %}``, which marks an answer."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body).set_lineno(line)

    return Environment(extensions=[loopcontrols, Generation]).parse(template)  # noqa: S701 - no HTML
