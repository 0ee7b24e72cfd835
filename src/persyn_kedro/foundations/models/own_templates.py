"""The chat template of a model: where it comes from, and whether it reads the clock."""

import json
import mmap
from pathlib import Path

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.files import local_directory
from persyn_kedro.foundations.models.hub import fetch_files
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.templates.base import BASE_TEMPLATE
from persyn_kedro.foundations.templates.fixed_date import CLOCK, reads_clock
from persyn_kedro.foundations.templates.fixed_template import (
    check_template,
    fixed_template,
    what_is_fixed,
)

FILE, CONFIG = "chat_template.jinja", "tokenizer_config.json"
_IN_GGUF = b"tokenizer.chat_template"
_GGUF_STRING = 8


def template_in_effect(name: str, directory: Path, settings: ModelSettings) -> str:
    """Return the settings' template, else the model's own, else the base one, with inputs fixed.

    What is rendered then depends only on the messages (``templates.fixed_template``).

    Raises:
        PersynError: it is not valid Jinja, or draws random numbers.
    """
    if settings.endpoint:
        told = json.dumps(settings.template_arguments, sort_keys=True, ensure_ascii=False)
        return "the endpoint's own" + (f", with {told}" if settings.template_arguments else "")
    template = settings.chat_template or own_template(directory) or BASE_TEMPLATE
    check_template(name, template)
    return fixed_template(template, settings.template_date, settings.template_arguments)


def own_template(directory: Path) -> str | None:
    """Return the template beside a model's weights, or None.

    Raises:
        PersynError: names the file that cannot be read.
    """
    if (directory / FILE).is_file():
        return _text(directory / FILE)
    config = directory / CONFIG
    if not config.is_file():
        return None
    try:
        settings = json.loads(_text(config))
    except (ValueError, RecursionError) as error:
        raise PersynError(f"{config} is not valid JSON: {error}.") from error
    if not isinstance(settings, dict):
        raise PersynError(f"{config} is not a JSON object.")
    template = settings.get("chat_template")
    if isinstance(template, list):  # several named ones, as Transformers allows
        named = [t for t in template if isinstance(t, dict) and t.get("name") == "default"]
        template = named[-1].get("template") if named else None
    if template is not None and not isinstance(template, str):
        raise PersynError(f"The chat_template in {config} is not a string.")
    return template


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PersynError(f"{path} is not UTF-8: {error.reason} at byte {error.start}.") from error


def date_in_effect(settings: ModelSettings, weights_id: str) -> str | None:
    """Return the date that a model's template reads, or None; fetch no weights.

    Raises:
        PersynError: the model is cached, but its template can no longer be fetched.
    """
    template = _known_template(settings, weights_id)
    if not reads_clock(template):
        return None
    return what_is_fixed(fixed_template(template, settings.template_date, {}))[CLOCK]


def check_known_template(name: str, settings: ModelSettings, weights_id: str) -> None:
    """As ``check_template``, before any weights are fetched.

    Raises:
        PersynError: also if the settings give a date that the template does not read.
    """
    template = _known_template(settings, weights_id)
    check_template(name, template)
    if settings.template_date and not reads_clock(template):
        raise PersynError(
            f"Parameter models.{name}.template_date: this model's chat template does not read the "
            "clock, so a date has no effect. Leave it out or, if the template takes a date by "
            "name, set it in template_arguments (for Llama 3.1: {date_string: 26 Jul 2024})."
        )


def _known_template(settings: ModelSettings, weights_id: str) -> str:
    return settings.chat_template or _named_template(settings, weights_id) or ""


def _named_template(settings: ModelSettings, weights_id: str) -> str | None:
    if settings.local:
        return own_template(local_directory(settings))
    if settings.gguf:
        return _template_in_gguf(Path(settings.gguf).expanduser())
    if settings.hub:
        commit = weights_id.rpartition("@")[2]
        return own_template(fetch_files(settings.hub, commit, (FILE, CONFIG)))
    return None  # an endpoint's is unknown; the zoo's and the tests' read no clock


def _template_in_gguf(path: Path) -> str | None:
    """Return a GGUF file's template, found in the raw bytes (see ``conversion.adds_bos``)."""
    entry = len(_IN_GGUF).to_bytes(8, "little") + _IN_GGUF + _GGUF_STRING.to_bytes(4, "little")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(entry)
        if start < 0:
            return None
        start += len(entry)
        length = int.from_bytes(data[start : start + 8], "little")
        return data[start + 8 : start + 8 + length].decode("utf-8", "replace")
