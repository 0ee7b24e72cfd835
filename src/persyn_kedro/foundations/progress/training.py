"""Training with Transformers' trainer, reporting each step to ``foundations.progress``."""

from pathlib import Path
from typing import Any

from persyn_kedro.foundations.progress import watching


def train(trainer: Any, label: str, checkpoint: Path | None) -> None:
    """Train, from a checkpoint if there is one; if it is the last, load its weights and curve.

    The last holds no optimizer, which is twice the size of a model in full. Transformers would
    train one step more from it if ``epochs`` is not a whole number.
    """
    from transformers import TrainerCallback, TrainerState
    from transformers.trainer import TRAINER_STATE_NAME

    if checkpoint:
        state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        if state.global_step >= state.max_steps:
            trainer._load_from_checkpoint(str(checkpoint))
            trainer.state = state
            return
    with watching(label, None, "training steps") as watch:

        class Told(TrainerCallback):
            tokens = 0

            def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                self.tokens = state.num_input_tokens_seen
                watch.begin(state.max_steps, state.global_step)

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                args.save_only_model = state.global_step >= state.max_steps

            def on_log(self, args: Any, state: Any, control: Any, logs: Any, **_: Any) -> None:
                numbers = {k: v for k, v in logs.items() if isinstance(v, int | float)}
                watch.measure(state.global_step, numbers)
                if "loss" in logs:  # not the final summary
                    tokens = state.num_input_tokens_seen
                    watch.advance(tokens=tokens - self.tokens, note=f"loss {logs['loss']:.3f}")
                    self.tokens = tokens

        trainer.add_callback(Told())
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
