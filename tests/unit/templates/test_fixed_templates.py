"""What a chat template can reach besides its messages: fixed, or refused."""

import inspect
import json
import re
from datetime import date, datetime, time
from typing import Any

import pytest
from hypothesis import example, given, strategies as st
from jinja2 import TemplateError
from pydantic import ValidationError
from transformers import PreTrainedTokenizerBase
from transformers.utils import chat_template_utils
from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.random import CHATML
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.templates import fixed_date
from persyn_kedro.foundations.templates.fixed_date import reads_clock
from persyn_kedro.foundations.templates.fixed_template import (
    RESERVED,
    check_template,
    fixed_template,
    what_is_fixed,
)
from tests.support.clock import DATED, set_clock

USER = {"role": "user", "content": "Hi"}


def rendered(template: str, **more: Any) -> str:
    (text,), _ = render_jinja_template([[USER]], chat_template=template, **more)
    return text


def test_a_template_without_a_clock_or_arguments_stays_as_it_is() -> None:
    assert not reads_clock(CHATML) and reads_clock(DATED)
    assert fixed_template(CHATML, "2020-01-01", {}) == CHATML


@pytest.mark.parametrize("now", ["2026-02-03T04:05:06", "1999-12-31T23:59:59"])
def test_the_date_is_fixed_whatever_the_clock_says(
    monkeypatch: pytest.MonkeyPatch, now: str
) -> None:
    set_clock(monkeypatch, now)
    year = now[:4]
    assert f"{year}\n" in rendered(DATED, bos_token="")  # the test's clock is the template's
    assert "Today Date: 26 Jul 2024\n" in rendered(fixed_template(DATED, None, {}), bos_token="")
    assert "Date: 05 Mar 2025\n" in rendered(fixed_template(DATED, "2025-03-05", {}), bos_token="")
    within = "{% macro m() %}{{ strftime_now(format='%H:%M %p') }}{% endmacro %}{{ m() }}"
    assert rendered(fixed_template(within, None, {})) == "00:00 AM"


@given(st.dates(date(1000, 1, 1), date(9999, 12, 31)))
@example(date(2024, 12, 30)).via("ISO week 1 of the next year")
@example(date(2023, 1, 1)).via("a Sunday, ISO week 52 of the year before")
@example(date(2000, 10, 10)).via("zeros that are no padding")
def test_each_directive_is_strftime_s_own_at_midnight(day: date) -> None:
    midnight = datetime.combine(day, time())
    found = fixed_date._directives(day)
    assert found == {name: midnight.strftime(f"%{name}") for name in found}


@pytest.mark.parametrize("day", [date(2024, 7, 26), date(2024, 12, 30), date(2000, 10, 10)])
def test_a_template_renders_each_directive(day: date) -> None:
    midnight = datetime.combine(day, time())
    forms = [f"%{name}|%%d" for name in fixed_date._directives(day)]
    template = "\n".join(f"{{{{ strftime_now('{form}') }}}}" for form in forms)
    lines = rendered(fixed_template(template, day.isoformat(), {})).split("\n")
    assert lines == [midnight.strftime(form) for form in forms]


def test_no_clock_and_no_locale_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = fixed_template("{{ strftime_now('%A %d %B %Y') }}", None, {})
    monkeypatch.setattr(chat_template_utils, "datetime", None)  # asked for the time, it fails
    with pytest.raises(AttributeError):
        rendered("{{ strftime_now('%d') }}")
    assert rendered(fixed) == "Friday 26 July 2024"


@pytest.mark.parametrize("asked", ["'%s'", "'%' ~ 'd'", "'%_d'", "'%'"])
def test_a_form_that_is_not_known_is_refused_and_never_the_clock_s(asked: str) -> None:
    fixed = fixed_template(f"{{{{ strftime_now({asked}) }}}}", None, {})
    with pytest.raises(TemplateError, match="fixes no date in the form %"):
        rendered(fixed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(
        st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(JSON)
@example("a %} b {{ c }} {% d #} \\ \" ' \n\r\n\t \u2028 🙂 \x00\x7f")
@example({"a": {"b": [None, True, -1, 1e-9, 1e22, -0.0]}})
def test_an_argument_reaches_the_template_as_it_is(value: Any) -> None:
    template = "{% macro m() %}{{ x | tojson }}{% endmacro %}{{ m() }}{{ x | tojson }}"
    fixed = fixed_template(template, None, {"x": value})
    assert rendered(fixed) == json.dumps(value, ensure_ascii=False) * 2
    assert what_is_fixed(fixed) == {"x": value}
    assert _compile_jinja_template(fixed).render(x="another") == rendered(fixed)


@pytest.mark.parametrize(
    "body",
    [
        " a",
        "\n\na",
        "  {% if true %}\n  b\n{% endif %}\n",
        "{#- c -#}\n x ",
        "{%- if 1 %} d{% endif %}",
    ],
)
def test_the_rest_is_rendered_as_without(body: str) -> None:
    body += "{{ y is defined and y }}{% if false %}{{ strftime_now('%d') }}{% endif %}"
    assert rendered(fixed_template(body, None, {"x": 1})) == rendered(body)


def test_what_is_fixed_stays_until_it_is_set_anew() -> None:
    once = fixed_template(DATED, "2025-01-02", {"enable_thinking": False, "effort": "low"})
    assert fixed_template(once, None, {}) == once
    assert fixed_template(once, None, {"effort": "low"}) == once
    again = fixed_template(once, "2026-03-04", {"enable_thinking": True})
    assert again == fixed_template(DATED, "2026-03-04", {"effort": "low", "enable_thinking": True})
    assert what_is_fixed(again)["strftime_now"] == "2026-03-04"
    assert what_is_fixed(DATED) == {}


@pytest.mark.parametrize(
    ("template", "used"),
    [
        ("{{ lipsum() }}", "lipsum"),
        ("{% set words = lipsum %}{{ words(n=1) }}", "lipsum"),
        ("{{ messages | random }}", "the filter random"),
        ("{% filter random %}ab{% endfilter %}", "the filter random"),
        ("{{ [[1, 2]] | map('random') | list }}", "the filter map"),
        ("{% set f = 'ran' ~ 'dom' %}{{ [[1, 2]] | map(f) | list }}", "the filter map"),
        ("{{ [[1, 2]] | map(*['random']) | list }}", "the filter map"),
        ("{% generation %}{% break %}{{ 1 | random }}{% endgeneration %}", "the filter random"),
    ],
)
def test_dice_are_refused(template: str, used: str) -> None:
    with pytest.raises(PersynError, match=f"^The chat template of model 'm' uses {used}, "):
        check_template("m", template)


def test_what_looks_like_dice_is_let_through() -> None:
    check_template("m", DATED)
    check_template(
        "m", "{# lipsum | random #} | random {{ messages | map(attribute='role') | join }}"
    )
    check_template("m", "{% generation %}{{ ['a'] | map('upper') | join }}{% endgeneration %}")
    with pytest.raises(PersynError, match="^The chat template of 'm' is not valid Jinja: "):
        check_template("m", "{% if %}")


def test_nothing_else_that_a_template_can_call_is_new() -> None:
    """A later version of Jinja or Transformers may bring another clock or another die."""
    environment = _compile_jinja_template("").environment
    assert set(environment.globals) == {
        "cycler", "dict", "joiner", "lipsum", "namespace", "range",
        "raise_exception", "strftime_now",
    }  # fmt: skip
    assert set(environment.globals) <= RESERVED
    own = {n: f for n, f in environment.filters.items() if inspect.isfunction(f)}
    assert {n for n, f in own.items() if "random" in inspect.getsource(f)} == {"random"}
    for function in (PreTrainedTokenizerBase.apply_chat_template, render_jinja_template):
        assert set(inspect.signature(function).parameters) <= RESERVED


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"template_date": "2024-02-30"}, "day"),
        ({"template_date": "26 Jul 2024"}, "'26 Jul 2024' is not a date such as 2024-07-26"),
        ({"template_date": "20240726"}, "is not a date such as"),
        ({"template_date": 20240726}, "string"),
        ({"template_date": "٢٠٢٤-07-26"}, "is not a date such as"),
        ({"template_arguments": {"messages": []}}, "messages is reserved"),
        (
            {"template_arguments": {"add_generation_prompt": False}},
            "add_generation_prompt is reserved",
        ),
        ({"template_arguments": {"tokenize": True}}, "tokenize is reserved"),
        ({"template_arguments": {"strftime_now": "x"}}, "strftime_now is reserved"),
        (
            {"template_arguments": {"enable-thinking": False}},
            "is not a valid name for a template variable",
        ),
        ({"template_arguments": {"a": {"b": [float("nan")]}}}, "should be a finite number"),
        ({"template_arguments": {"a": ["\ud800"]}}, "a contains invalid Unicode"),
        ({"template_arguments": {"a": {1, 2}}}, "template_arguments"),
        ({"template_arguments": "enable_thinking"}, "template_arguments"),
    ],
)
def test_a_bad_setting_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        ModelSettings(random="chat", **settings)


def test_an_endpoint_renders_at_its_own_date() -> None:
    far: Any = {"url": "http://h/v1", "model": "b"}
    assert ModelSettings(endpoint=far, template_arguments={"enable_thinking": False})
    with pytest.raises(
        ValidationError, match="template_date cannot be set for an endpoint: its server renders"
    ):
        ModelSettings(endpoint=far, template_date="2024-07-26")
