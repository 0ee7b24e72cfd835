"""Which files of a model directory are read: safetensors and no code, unless allowed."""

import json
import sys
from functools import cache
from pathlib import Path

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.child import call_in_child
from persyn_kedro.foundations.settings.models import ModelSettings

SAFE = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
CODE = ("*.py",)


def file_patterns(settings: ModelSettings) -> list[str]:
    """Return the names of the files to fetch, read and hash."""
    pickles = PICKLES if settings.allow_pickle else ()
    return [*SAFE, *pickles, *(CODE if settings.allow_remote_code else ())]


def local_directory(settings: ModelSettings) -> Path:
    """Return a local model's directory.

    If ``local`` is a catalog entry (``data/06_models/student``), that is its newest version.
    """
    directory = Path(settings.local or "").expanduser()
    if not (directory / "config.json").is_file():
        versions = sorted(directory.glob(f"[!.]*/{directory.name}/config.json"))
        if versions:
            return versions[-1].parent
    return directory


def check_directory(what: str, directory: Path, settings: ModelSettings) -> None:
    """Refuse a directory without a model, or with what the settings do not allow.

    Raises:
        PersynError: names the directory and, if there is one, the setting that would allow it.
    """
    if not directory.is_dir():
        raise PersynError(f"{what}: no such directory: {directory}.")
    if not (directory / "config.json").is_file():
        raise PersynError(f"{what}: {directory} has no config.json.")
    for name in ("config.json", "tokenizer_config.json"):
        if (directory / name).is_file() and not _read_object(directory / name):
            raise PersynError(f"{what}: {directory / name} is not a JSON object.")
    pickles = sorted(p.name for pattern in PICKLES for p in directory.glob(pattern))
    if not any(directory.glob("*.safetensors")):
        if not pickles:
            raise PersynError(f"{what}: {directory} has no *.safetensors.")
        if not settings.allow_pickle:
            raise PersynError(
                f"{what}: {directory} has only pickled weights ({pickles[0]}), which can run code "
                "when they are read: convert them to safetensors, or set the model's allow_pickle."
            )
    if not settings.allow_remote_code and _needs_remote_code(directory):
        raise PersynError(
            f"{what}: {directory} contains code of its own (auto_map in its config.json or "
            "tokenizer_config.json); set the model's allow_remote_code to run it."
        )


def read_config(directory: Path) -> dict:
    """Return the directory's config.json ({} if it is not a JSON object)."""
    return _read_object(directory / "config.json")


def _read_object(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _needs_remote_code(directory: Path) -> bool:
    """Return whether Transformers itself lacks the model or its tokenizer.

    If it has them, code beside the weights is not run.
    """
    config = read_config(directory)
    tokenizer = _read_object(directory / "tokenizer_config.json")
    if "auto_map" not in config and "auto_map" not in tokenizer:
        return False
    known_as = config.get("model_type"), tokenizer.get("tokenizer_class")
    model_type, tokenizer_class = (str(name) if name else None for name in known_as)
    return _is_unknown("auto_map" in config, model_type, "auto_map" in tokenizer, tokenizer_class)


@cache
def _is_unknown(
    own_model: bool, model_type: str | None, own_tokenizer: bool, tokenizer_class: str | None
) -> bool:
    """Ask ``_lacks`` once, in another process unless Transformers is imported here."""
    asked = own_model, model_type, own_tokenizer, tokenizer_class
    if "transformers" in sys.modules:
        return _lacks(*asked)
    return call_in_child(_lacks, *asked, label="Transformers' own models")


def _lacks(
    own_model: bool, model_type: str | None, own_tokenizer: bool, tokenizer_class: str | None
) -> bool:
    """Return whether Transformers lacks a model or tokenizer that has code of its own."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.tokenization_auto import (
        TOKENIZER_MAPPING_NAMES,
        tokenizer_class_from_name,
    )

    if own_model and model_type not in CONFIG_MAPPING_NAMES:
        return True
    if not own_tokenizer or model_type in TOKENIZER_MAPPING_NAMES:
        return False
    return tokenizer_class is None or tokenizer_class_from_name(tokenizer_class) is None
