"""Load a resolved model's tokenizer and weights with transformers."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from persyn_kedro.foundations.weights import ResolvedModel


def device() -> Literal["cuda", "cpu"]:
    """Return where models run: the GPU if torch sees one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load_tokenizer(resolved: "ResolvedModel") -> "PreTrainedTokenizerBase":
    """Return the tokenizer, with the model's effective chat template."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolved.directory)
    tokenizer.chat_template = resolved.chat_template
    return tokenizer


def load_causal_lm(resolved: "ResolvedModel", dtype: str | None = None) -> "PreTrainedModel":
    """Return the language model, in evaluation mode, on :func:`device`.

    ``dtype`` is a torch type's name (default: the settings' one).
    """
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        resolved.directory, dtype=getattr(torch, dtype or resolved.settings.dtype)
    )
    return model.to(device()).eval()
