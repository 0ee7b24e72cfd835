"""A reward model trained from right and wrong calibration answers."""

from .measuring import preference_accuracy as preference_accuracy
from .pairs import check_pairs as check_pairs, preference_pairs as preference_pairs
from .training import train_reward_model_job as train_reward_model_job
