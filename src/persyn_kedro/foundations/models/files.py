"""Which files of a model directory are read: safetensors and no code, unless allowed."""

import json
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
    return call_in_child(_lacks, config, tokenizer, label=f"code of {directory.name}")


def _lacks(config: dict, tokenizer: dict) -> bool:
    """Return whether one that has an ``auto_map`` is unknown to Transformers."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if "auto_map" in config and config.get("model_type") not in CONFIG_MAPPING_NAMES:
        return True
    return "auto_map" in tokenizer and not _has_tokenizer(config, tokenizer)


def _has_tokenizer(config: dict, tokenizer: dict) -> bool:
    """Return whether Transformers has the tokenizer, by the model's type or the tokenizer class."""
    from transformers.models.auto.tokenization_auto import (
        TOKENIZER_MAPPING_NAMES,
        tokenizer_class_from_name,
    )

    if config.get("model_type") in TOKENIZER_MAPPING_NAMES:
        return True
    name = tokenizer.get("tokenizer_class")
    return name is not None and tokenizer_class_from_name(name) is not None
