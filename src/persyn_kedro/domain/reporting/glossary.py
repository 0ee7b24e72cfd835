"""The pages' terms for a reader who was not there."""

GLOSSARY = {
    "Teacher": "A language model with its system prompt and sampling settings. Two teachers may "
    "share one model, as a brief one and one that goes step by step.",
    "Student": "The small model that is trained on the teachers' answers.",
    "Calibration, train, test": "Calibration prompts are answered by every teacher and teach the "
    "router; train prompts by one teacher each; test prompts measure the student and are never "
    "answered by a teacher.",
    "Quality": "How good an answer is in itself: 1 if its final answer is that of the reference "
    "and 0 if not, or the score of a reward model.",
    "Learnability": "How likely the student, before it is trained, finds the answer's words: the "
    "mean of the logarithms of their probabilities, in nats a token. It is 0 at most; nearer to 0 "
    "is easier to learn from.",
    "Reward": "(1 − α) · quality + α · learnability, each first scaled to 0 to 1 among the "
    "teachers' answers to the same prompt.",
    "α (alpha)": "The weight of learnability in the reward, from 0 (quality alone) to 1.",
    "Valid, invalid": "An answer that failed, is empty or was cut off is invalid: it has no reward "
    "and counts as 0 where it is chosen.",
    "Router": "What chooses a teacher for a prompt from the prompt alone.",
    "Hit@k": "The share of prompts whose best teacher is among the router's k first choices.",
    "Regret": "The reward that a choice loses to the best teacher's, on average; 0 is perfect.",
    "Strongest teacher": "The one with the best mean quality on the calibration prompts.",
    "Oracle": "The choice of the truly best teacher for each prompt, known only afterwards.",
    "Token": "A piece of a word, the unit in which language models read and write.",
    "NLL": "Negative log-likelihood in nats a token: how surprised the student is by an answer; "
    "lower is better.",
    "Nat": "The unit of natural logarithms: 1 nat less makes a token e (2.7) times as likely.",
    "Confidence interval": "Where the true value would lie in most repetitions with other prompts "
    "of the same kind.",
}
