"""What a step needs besides its inputs and settings."""

from enum import Flag, auto


class Needs(Flag):
    """Declared once, on a step's mark: ``runs`` derives checks, imports and API keys from it."""

    NOTHING = 0
    TEACHERS = auto()  # teachers generate responses
    STUDENT = auto()  # the student generates responses
    JUDGE = auto()  # answers are judged, as settings.judging says
    MODEL = auto()  # a language model reads texts
    ROUTER = auto()  # a router is fitted, or scores prompts
    TRAINER = auto()  # one of TRL's trainers runs
    PROCESSES = auto()  # training runs in cluster.training_processes processes
    CLUSTER = auto()  # work is spread over a cluster's actors, if there is one
    HARNESS = auto()  # lm-evaluation-harness runs
    DRAWINGS = auto()  # charts are drawn


ANSWERS = Needs.TEACHERS | Needs.STUDENT | Needs.JUDGE | Needs.HARNESS  # a model is to answer
WEIGHTS = Needs.MODEL | Needs.ROUTER | Needs.TRAINER  # one is loaded, without an engine
