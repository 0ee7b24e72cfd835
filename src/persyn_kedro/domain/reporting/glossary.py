"""The pages' terms, for a reader new to the project."""

GLOSSARY = {
    "Teacher": "A language model with its system prompt and sampling settings. Two teachers may "
    "share a model, for example a brief one and one that reasons step by step.",
    "Student": "The small model that is trained on the teachers' answers.",
    "Calibration, train, test": "Calibration prompts are answered by every teacher, and the router "
    "is fitted on them; train prompts are answered by one teacher each; test prompts measure the "
    "student and are never answered by a teacher.",
    "Quality": "How good an answer is in itself: 1 if its final answer matches the reference and "
    "0 if not, or the score of a reward model.",
    "Learnability": "How likely the student, before training, finds the answer's words: the mean "
    "logarithm of their probabilities, in nats per token. It is at most 0; closer to 0 is easier "
    "to learn from.",
    "Reward": "(1 − α) · quality + α · learnability, each first scaled to 0 to 1: by "
    "default, among the teachers' answers to the same prompt.",
    "α (alpha)": "The weight of learnability in the reward, from 0 (quality only) to 1.",
    "Valid, invalid": "An answer that failed, is empty or was cut off is invalid: it has no reward "
    "and counts as 0 if it is chosen.",
    "Router": "A model that chooses a teacher for a prompt from its text.",
    "Hit@k": "The share of prompts whose best teacher is among the router's first k choices.",
    "Regret": "The mean reward lost by not choosing the best teacher; 0 is perfect.",
    "Strongest teacher": "The one with the best mean quality on the calibration prompts.",
    "Oracle": "The choice of the truly best teacher for each prompt, known only afterwards.",
    "Token": "A piece of a word, the unit in which language models read and write.",
    "NLL": "Negative log-likelihood in nats per token: how surprised the student is by an answer; "
    "lower is better.",
    "Nat": "The unit of natural logarithms: 1 nat less makes a token e (2.7) times as likely.",
    "Confidence interval": "A range that would contain the true value in most repetitions with "
    "other prompts of the same kind.",
}
