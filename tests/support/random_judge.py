"""A small reward model with random weights."""

from pathlib import Path

from persyn_kedro.foundations.models.random import make_random_model


def make_judge(directory: Path, seed: int) -> None:
    """Make a sequence classifier; its head is not that of a fresh one, whose scores are alike."""
    import torch
    from transformers import AutoModelForSequenceClassification

    make_random_model(directory, "chat", seed)
    judge = AutoModelForSequenceClassification.from_pretrained(
        directory, num_labels=1, dtype=torch.float32
    )
    judge.score.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    judge.save_pretrained(directory)
