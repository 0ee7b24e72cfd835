"""Which files of a model directory are read: safetensors, no code, unless settings allow it."""

import json
from pathlib import Path

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.parameters import ModelSettings

SAFE = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
CODE = ("*.py",)


def file_patterns(settings: ModelSettings) -> list[str]:
    """Return the names of the files that are fetched, read and hashed."""
    pickles = PICKLES if settings.allow_pickle else ()
    return [*SAFE, *pickles, *(CODE if settings.allow_remote_code else ())]


def check_directory(what: str, directory: Path, settings: ModelSettings) -> None:
    """Refuse what is no model directory, or holds what the settings do not allow.

    Raises:
        PersynError: names the directory and, where there is one, the setting that allows it.
    """
    if not directory.is_dir():
        raise PersynError(f"{what}: there is no directory {directory}.")
    if not (directory / "config.json").is_file():
        raise PersynError(f"{what}: {directory} has no config.json.")
    pickles = sorted(p.name for pattern in PICKLES for p in directory.glob(pattern))
    if not any(directory.glob("*.safetensors")):
        if not pickles:
            raise PersynError(f"{what}: {directory} has no *.safetensors.")
        if not settings.allow_pickle:
            raise PersynError(
                f"{what}: {directory} has pickled weights alone ({pickles[0]}), which can run code "
                "when they are read: convert them to safetensors, or set the model's allow_pickle."
            )
    if not settings.allow_remote_code and _needs_remote_code(directory):
        raise PersynError(
            f"{what}: {directory} brings code of its own (auto_map in its config.json): set the "
            "model's allow_remote_code to run it."
        )


def read_config(directory: Path) -> dict:
    """Return the directory's config.json ({} where it is no JSON object)."""
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _needs_remote_code(directory: Path) -> bool:
    """Tell whether the model is one that Transformers itself does not have.

    Where it has it, code beside the weights is not run.
    """
    config = read_config(directory)
    if "auto_map" not in config:
        return False
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return config.get("model_type") not in CONFIG_MAPPING_NAMES
