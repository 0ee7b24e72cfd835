"""``--params`` with any value that YAML writes on one line: lists, and strings with commas.

Kedro splits at every comma. Here a comma inside quotes or brackets belongs to the value.
"""

from typing import Any

import click
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from persyn_kedro.cli.errors import one_sentence
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.secrets import without_credentials

_HOW = (
    "write key=value,key=value; put strings that contain a comma in quotes, lists in brackets, "
    "and all of it in quotes for the shell (--params='key=\"one, two\",key=[1,2]')"
)


def parse_params(text: str) -> dict[str, Any]:
    """Return the nested settings of ``a.b=1,c=[2, 3],d="e, f"``; values are YAML.

    Raises:
        PersynError: names the part that cannot be read.
    """
    items = []
    rest = text.lstrip()
    while rest:
        key, equals, value = rest.partition("=")
        if not equals or not key.strip() or "," in key:
            raise PersynError(f"--params: {_short(rest)} is not key=value; {_HOW}.")
        end = _end_of_value(value, key)
        items.append(f"{key.strip()}={value[:end].strip()}")
        rest = value[end + 1 :].lstrip()
    return _nested(items)


def _end_of_value(text: str, key: str) -> int:
    """Return where a value ends: at the first comma that is not inside quotes or brackets."""
    start = len(text) - len(text.lstrip())
    if not text[start:].startswith(("'", '"', "[", "{")):
        comma = text.find(",")
        return len(text) if comma < 0 else comma
    depth, end = 0, None
    try:
        for token in yaml.scan(text[start:], Loader=yaml.SafeLoader):
            if isinstance(token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken):
                depth += 1
            elif isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken):
                depth -= 1
            elif not isinstance(token, yaml.ScalarToken):
                continue
            if depth == 0:
                end = start + token.end_mark.index
                break
    except yaml.YAMLError as error:
        raise _unreadable(f"{key.strip()}={text}", error) from error
    if end is None:
        raise _unreadable(f"{key.strip()}={text}", ValueError("unclosed bracket"))
    blank = len(text[end:]) - len(text[end:].lstrip())
    if text[end + blank :] and text[end + blank] != ",":
        raise PersynError(
            f"--params: expected a comma after {_short(f'{key.strip()}={text[:end]}')}, got "
            f"{_short(text[end:])}; {_HOW}."
        )
    return end + blank


def _nested(items: list[str]) -> dict[str, Any]:
    for item in items:
        try:
            OmegaConf.from_dotlist([item])
        except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
            raise _unreadable(item, error) from error
    try:
        nested = OmegaConf.to_container(OmegaConf.from_dotlist(items))
    except (OmegaConfBaseException, ValueError) as error:  # one key is the parent of another
        raise _unreadable(",".join(items), error) from error
    assert isinstance(nested, dict)  # noqa: S101 - a dot list makes a dict
    return {str(key): value for key, value in nested.items()}


def _unreadable(piece: str, error: Exception) -> PersynError:
    why = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return PersynError(f"--params: {_short(piece)} cannot be read ({why}); {_HOW}.")


def _short(text: str) -> str:
    text = without_credentials(text)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _callback(context: click.Context, param: click.Parameter, value: Any) -> dict[str, Any]:
    with one_sentence():
        return parse_params(value) if isinstance(value, str) else _of_config(value)


def _of_config(params: Any) -> dict[str, Any]:
    """Return the ``params`` of a --config file, with dotted keys nested as above.

    Raises:
        PersynError: it is not a mapping of names, or a key (which is named) cannot be read.
    """
    if params is None:
        return {}
    if not isinstance(params, dict) or not all(isinstance(key, str) for key in params):
        raise PersynError(
            "--config: `params` must be a mapping, or a string in the form of --params (got "
            f"{_short(str(params))})."
        )
    nested = OmegaConf.create()
    for key, value in params.items():
        try:
            OmegaConf.update(nested, key, value, merge=True)
        except (OmegaConfBaseException, ValueError, TypeError) as error:
            why = str(error).partition("\n")[0]
            raise PersynError(
                f"--config: {_short(key)} in `params` cannot be read ({why})."
            ) from error
    found = OmegaConf.to_container(nested)
    assert isinstance(found, dict)  # noqa: S101 - made from a dict
    return {str(key): value for key, value in found.items()}


PARAMS = click.Option(
    ["--params"],
    type=click.UNPROCESSED,
    default="",
    callback=_callback,
    help="Settings for this run, as group.key=value,group.key=value. Values are YAML: lists in "
    "brackets (--params='compare.seeds=[1,2]'), strings that contain a comma in quotes "
    "(--params='student.system=\"Be brief, please.\"').",
)
