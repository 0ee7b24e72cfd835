"""What a step's work needs beside its inputs and settings."""

from enum import Flag, auto


class Needs(Flag):
    """Said on a step's mark, once: ``runs`` checks, imports and asks for keys by it alone."""

    NOTHING = 0
    TEACHERS = auto()  # teachers answer
    STUDENT = auto()  # the student answers
    JUDGE = auto()  # label.quality.model judges, where there is one
    MODEL = auto()  # a language model reads texts
    ROUTER = auto()  # a router is fitted, or scores prompts
    TRAINER = auto()  # one of TRL's trainers works
    PROCESSES = auto()  # what is trained is trained by cluster.training_processes
    CLUSTER = auto()  # the work is spread over a cluster's actors, where there is one
    HARNESS = auto()  # lm-evaluation-harness works
