"""Every field of every group of settings, with values that somebody or some tool will write."""

import math
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, JsonValue, RootModel
from typing_extensions import is_typeddict

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.base import MAX_SEED, MAX_WHOLE
from persyn_kedro.foundations.settings.read import GROUPS, read_settings
from persyn_kedro.foundations.settings.routers import PluginRouterSettings
from tests.support.nasty_settings import RICH, with_value

KINDS: dict[str, type[BaseModel]] = {**GROUPS, "train_router": PluginRouterSettings}
NASTY: list[Any] = [
    math.inf, -math.inf, math.nan, True, False, -1, 0, 0.5, 1e-320, 1e300, -0.1, 3.0, 2**31, 2**32,
    2**63, 10**400, 10**5000, "", " ", "x", "5", "1e-5", "yes", "a\nb", None, [], {},
    [None], [True], [[]], ["5"], [math.nan], {"a": math.inf}, {1: 2}, {"": ""}, "\u0000", "\ud800",
    "\x1b[31m", "x" * 100_000, b"x", object(), "../../x.py:f", "http://[", "h:99999999",
    "/" + "y" * 300, {"env_vars": {"A": 1}},
]  # fmt: skip
# What takes whole numbers beyond 32 bits: tokens of a budget.
LARGE = {"max_tokens"}


def nested(kind: Any) -> list[type[BaseModel]]:
    """Return the groups that an annotation holds, in lists, mappings and alternatives too."""
    if isinstance(kind, type) and not isinstance(kind, types.GenericAlias):
        return [kind] if issubclass(kind, BaseModel) else []
    return [model for part in typing.get_args(kind) for model in nested(part)]


def places(kind: type[BaseModel], raw: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every field below ``path``, and of the items of lists and mappings."""
    if issubclass(kind, RootModel):
        (item,) = nested(kind.model_fields["root"].annotation)
        for name in raw:
            yield (*path, name)
            yield from places(item, raw[name], (*path, name))
        return
    for name, field in kind.model_fields.items():
        yield (*path, name)
        there = raw.get(name) if isinstance(raw, dict) else None
        for model in nested(field.annotation):
            if any(f.is_required() for f in model.model_fields.values()) and not there:
                continue  # reached where RICH has one
            if isinstance(there, list):
                yield from places(model, there[0], (*path, name, 0))
            else:
                yield from places(model, there or {}, (*path, name))


def check_sane(value: Any, kind: Any, name: str) -> None:
    """Assert that an accepted value is of a type that its field names, and within its range."""
    if isinstance(value, RootModel):
        for key, item in value.root.items():
            assert type(key) is str
            check_sane(item, type(item), name)
    elif isinstance(value, BaseModel):
        for field, about in type(value).model_fields.items():
            seed = "seed" in field  # the annotations' own ranges are no part of this
            check_sane(getattr(value, field), about.annotation, "seed" if seed else field)
    elif isinstance(value, (list, dict)):
        items = [*value, *value.values()] if isinstance(value, dict) else value
        for item in items:
            check_sane(item, kind, name)
    elif type(value) is int:
        assert int in parts(kind), name
        most = {"seed": MAX_SEED}.get(name, 2**63 - 1 if name in LARGE else MAX_WHOLE)
        assert name == "config" or 0 <= value <= most, name
    elif type(value) is float:
        assert float in parts(kind) and math.isfinite(value) and 0 <= value <= 1e12, name
    elif type(value) is bool:
        assert bool in parts(kind), name
    elif type(value) is str:
        assert {str} & parts(kind) or value in typing.get_args(kind) or "Literal" in str(kind)
        value.encode()
        assert "\0" not in value
    else:
        assert value is None and type(None) in parts(kind) | {type(None)}, name


def parts(kind: Any) -> set[Any]:
    """Return the plain types that an annotation names; Any is all of them."""
    if kind in (Any, JsonValue) or is_typeddict(kind):  # of which it names some keys alone
        return {int, float, bool, str, type(None)}
    inner = typing.get_args(kind)
    return set().union(*map(parts, inner)) if inner else {kind} if isinstance(kind, type) else set()


@pytest.mark.parametrize("group", KINDS)
def test_a_nasty_value_is_sane_or_one_sentence_that_names_its_key(group: str) -> None:
    others = vars(read_settings(RICH))  # read once: a group that is read is taken as it is
    paths = list(places(KINDS[group], RICH[group], (group,)))
    paths += [(group,)]
    for path in paths:
        for value in NASTY:
            try:
                settings = read_settings({**others, group: with_value(path, value)[group]})
            except PersynError as error:
                told = str(error)
                *above, last = (str(part) for part in path if part != 0)
                # Or a rule of several fields together, which a group above them has.
                rules = [f"Parameter {'.'.join(above[:end])}: " for end in range(1, len(path))]
                named = ".".join([*above, last]) in told.replace(".0.", ".")
                assert named or any(rule in told for rule in rules), told
                assert told[0].isupper() and told.endswith(".") and told.isprintable(), told
                assert len(told) < 700, told
            else:
                check_sane(getattr(settings, group), KINDS[group], group)


def test_every_number_refuses_what_is_none() -> None:
    """Not one field slips by: infinite, a truth value, a text, and what no library holds."""
    for group, model in KINDS.items():
        for path in places(model, RICH[group], (group,)):
            kind = field_kind(path)
            numbers = parts(kind) & {int, float}
            if not numbers or str in parts(kind):
                continue
            for value in (
                math.inf,
                math.nan,
                "5",
                "x",
                10**400,
                -1,
                *([True] * (bool not in parts(kind))),
            ):
                with pytest.raises(PersynError, match=path[-1]):
                    read_settings(with_value(path, value))


def is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def field_kind(path: tuple[Any, ...]) -> Any:
    """Return the annotation of the field at a path."""
    kind: Any = KINDS[path[0]]
    for part in path[1:]:
        if isinstance(kind, type) and issubclass(kind, RootModel):
            (kind,) = nested(kind.model_fields["root"].annotation)
        elif isinstance(part, str):
            holders = [kind] if is_group(kind) else nested(kind)
            holder = next(h for h in holders if part in h.model_fields)  # one group, or a list's
            kind = holder.model_fields[part].annotation
    return kind


def test_a_nasty_seed_is_one_sentence() -> None:
    for value in NASTY:
        if type(value) in (int, float) and value in (0, 3, 2**31):
            assert type(read_settings({**RICH, "seed": value}).seed) is int
            continue
        with pytest.raises(PersynError, match="Parameter seed must be") as caught:
            read_settings({**RICH, "seed": value})
        assert str(caught.value).isprintable() and len(str(caught.value)) < 200


def test_the_names_of_models_and_teachers_are_checked_too() -> None:
    for name in ("", " ", "a.b", "a\0", "a\x07", "\ud800", "x" * 10_000, 5, None, True):
        for group, item in (("models", {"random": "chat"}), ("teachers", {"model": "a"})):
            with pytest.raises(PersynError, match=group) as caught:
                read_settings({**RICH, group: {**RICH[group], name: item}})
            assert str(caught.value).isprintable() and len(str(caught.value)) < 400


def test_the_largest_seeds_are_taken_and_whole_numbers_written_as_powers() -> None:
    raw = with_value(("compare", "seeds"), [0, MAX_SEED])
    raw["models"]["a"]["random_seed"] = raw["seed"] = MAX_SEED
    raw["engine"] = {"budget": {"max_tokens": 1e10, "max_cost": 5}}
    raw["sft"] = {"epochs": 1, "learning_rate": 1e-5}
    settings = read_settings(raw)
    assert settings.compare.seeds == [0, MAX_SEED] and settings.seed == MAX_SEED
    assert settings.models.root["a"].random_seed == MAX_SEED
    assert repr(settings.engine.budget.max_tokens) == "10000000000"
    assert type(settings.sft.epochs) is float  # so that 1 and 1.0 are one setting
    for path in (("compare", "seeds"), ("models", "a", "random_seed")):
        for bad in (-1, MAX_SEED + 1):
            with pytest.raises(PersynError, match=path[-1]):
                read_settings(with_value(path, [bad] if path[-1] == "seeds" else bad))


def test_what_is_read_is_read_again_as_it_is() -> None:
    """Kedro's catalog hands on the groups that it has read."""
    settings = read_settings(RICH)
    assert read_settings(vars(settings)) == settings
