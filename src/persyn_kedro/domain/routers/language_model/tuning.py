"""Which of the backbone's weights are trained: all, low-rank adapters, or none."""

from typing import Any

from persyn_kedro.foundations.settings.routers import LanguageModelRouterSettings


def prepared(model: Any, settings: LanguageModelRouterSettings) -> Any:
    """Prepare ``model`` in place for the settings' ``tuning``; return its adapters, if any."""
    if settings.tuning == "head_only":
        model.requires_grad_(False)
    if settings.tuning != "lora":
        return None
    from peft import LoraConfig, get_peft_model

    lora = settings.lora
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear"
    )
    return get_peft_model(model, config)


def merged(model: Any, adapters: Any) -> Any:
    """Return the model with its adapters merged into its weights."""
    return model if adapters is None else adapters.merge_and_unload()
