"""Can TRL, PEFT and this machine train as the settings say? Asked before a model is loaded.

Importing the libraries takes seconds, so it is only asked where the settings name something of
theirs, and in a child process, which the training's own process is forked beside.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from persyn_kedro.domain.student.adapters import lora_config, merges_in_place
from persyn_kedro.domain.student.arguments import dpo_arguments, sft_arguments
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.extras import is_installed
from persyn_kedro.foundations.settings.passed_on import check_fields, refused_by
from persyn_kedro.foundations.settings.student import DpoSettings, SftSettings
from persyn_kedro.foundations.settings.training_keys import changes_base

Training = SftSettings | DpoSettings

_OURS = ("rank", "alpha", "dropout", "base", "quantize")
_NEEDS_GPU = {  # by attention, the package that it needs
    "flash_attention_2": "flash_attn",
    "flex_attention": None,
}


def asks_libraries(settings: Training) -> bool:
    """Return whether these settings name something that only a library or a GPU can check."""
    lora = settings.lora and (settings.lora.peft or settings.lora.quantize)
    return bool(lora or settings.trainer or settings.liger or settings.attention in _NEEDS_GPU)


def check_libraries_job(trainings: Mapping[str, Training], dtype: str) -> Iterator[None]:
    """Check everything; yields nothing. Runs in a child process.

    Args:
        trainings: by the group that has the adapter, such as sft.
        dtype: the student's own.

    Raises:
        PersynError: names the key that a library does not know or refuses, the package that is not
            installed, or what needs a CUDA GPU.
    """
    for group, settings in trainings.items():
        _check_machine(group, settings)
        _check_trainer(settings)
        if settings.lora:
            _check_adapter(f"{group}.lora", settings, dtype)
    yield from ()


def _group(settings: Training) -> str:
    return "sft" if isinstance(settings, SftSettings) else "dpo"


def _check_machine(group: str, settings: Training) -> None:
    if settings.liger:
        _need(f"{_group(settings)}.liger", "liger_kernel")
    if settings.attention in _NEEDS_GPU:
        name = f"{_group(settings)}.attention, {settings.attention}"
        _need(name, _NEEDS_GPU[settings.attention])
    if settings.lora and settings.lora.quantize:
        _need(f"{group}.lora.quantize", "bitsandbytes")


def _need(what: str, package: str | None) -> None:
    from persyn_kedro.foundations.models.load import device

    if device() != "cuda":
        raise PersynError(f"Parameter {what}: it needs a CUDA GPU, and this machine has none.")
    if package and not is_installed(package):
        name = package.replace("_", "-")
        raise PersynError(f"Parameter {what}: {name} is not installed: run `pip install {name}`.")


def _check_trainer(settings: Training) -> None:
    from trl import DPOConfig, SFTConfig

    kind = SFTConfig if isinstance(settings, SftSettings) else DPOConfig
    place = f"{_group(settings)}.trainer"
    check_fields(place, settings.trainer, kind, f"TRL's {kind.__name__}")
    with tempfile.TemporaryDirectory() as directory:
        try:
            if isinstance(settings, SftSettings):
                sft_arguments(settings, 0, Path(directory), 1, True)
            else:
                dpo_arguments(settings, 0, Path(directory), 1)
        except (ValueError, TypeError, ImportError, KeyError) as error:
            raise refused_by(place, "TRL", error) from error


def _check_adapter(key: str, settings: Training, dtype: str) -> None:
    from peft import LoraConfig

    adapter = settings.lora
    assert adapter is not None  # noqa: S101 - asked of adapters only
    check_fields(key, adapter.peft, LoraConfig, "PEFT's LoraConfig", _OURS)
    changed = changes_base(adapter.peft)
    if changed and isinstance(settings, DpoSettings):
        raise PersynError(
            f"Parameter {key}.{changed}: it changes the frozen weights, which are the reference "
            "here; leave it out."
        )
    if changed and not merges_in_place(settings, dtype, False):
        raise PersynError(
            f"Parameter {key}.{changed}: it changes the frozen weights, which are rounded here; "
            f"set {key}.base to float32."
        )
    try:
        lora_config(adapter)
    except (ValueError, TypeError, ImportError, KeyError) as error:
        raise refused_by(key, "PEFT", error) from error
