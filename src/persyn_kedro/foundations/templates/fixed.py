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

DEFAULT_DATE = "2024-07-26"
"""What Llama 3.2's template writes when it is given no date. It never changes."""

CLOCK = "strftime_now"
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
_MONTHS = (
    "January February March April May June July August September October November December".split()
)
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_PERCENT = "\ue000"  # stands for %% while directives are replaced


def reads_clock(template: str) -> bool:
    """Return whether a template can ask for the date. (Jinja has one spelling of the name.)"""
    return re.search(rf"\b{CLOCK}\b", template) is not None


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
        _clock(date.fromisoformat(value), body)
        if name == CLOCK
        else f"{{%- set {name} = {_literal(value)} -%}}\n"
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


def _clock(day: date, body: str) -> str:
    """Return a macro that replaces Transformers' ``strftime_now``, at midnight of this day.

    It knows the directives that the template uses, and refuses any other.
    """
    known = {f"%{name}": value for name, value in _directives(day).items() if f"%{name}" in body}
    before, after = ({"%%": _PERCENT}, {_PERCENT: "%"}) if "%%" in body else ({}, {})
    return (
        f"{{%- macro {CLOCK}(format) -%}}"
        f"{{%- set text = format{_replaced({**before, **known})} -%}}"
        '{%- if "%" in text -%}'
        '{{- raise_exception("persyn_kedro fixes no date in the form " ~ format) -}}'
        "{%- endif -%}"
        f"{{{{- text{_replaced(after)} -}}}}{{%- endmacro -%}}\n"
    )


def _replaced(pairs: Mapping[str, str]) -> str:
    return "".join(f" | replace({_literal(a)}, {_literal(b)})" for a, b in pairs.items())


def _directives(day: date) -> dict[str, str]:
    """Return what ``strftime`` writes for each directive, in English, whatever the locale."""
    year, week, weekday = day.isocalendar()
    of_year = day.timetuple().tm_yday
    month, name = _MONTHS[day.month - 1], _DAYS[weekday - 1]
    numbers = {
        "d": f"{day.day:02}",
        "m": f"{day.month:02}",
        "y": f"{day.year % 100:02}",
        "j": f"{of_year:03}",
        "U": f"{(of_year + 6 - weekday % 7) // 7:02}",
        "W": f"{(of_year + 7 - weekday) // 7:02}",
        "V": f"{week:02}",
        "H": "00",
        "I": "12",
        "M": "00",
        "S": "00",
    }
    short = f"{numbers['m']}/{numbers['d']}/{numbers['y']}"
    return {
        **numbers,
        **{f"-{letter}": value.lstrip("0") or "0" for letter, value in numbers.items()},
        "e": f"{day.day:2}",
        "Y": f"{day.year}",
        "G": f"{year}",
        "a": name[:3],
        "A": name,
        "b": month[:3],
        "h": month[:3],
        "B": month,
        "u": f"{weekday}",
        "w": f"{weekday % 7}",
        "p": "AM",
        "f": "000000",
        "z": "",
        "Z": "",
        "F": day.isoformat(),
        "D": short,
        "x": short,
        "R": "00:00",
        "T": "00:00:00",
        "X": "00:00:00",
        "c": f"{name[:3]} {month[:3]} {day.day:2} 00:00:00 {day.year}",
    }


def _literal(value: Any) -> str:
    """Return a JSON value in Jinja syntax."""
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        items = (f"{_literal(key)}: {_literal(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
