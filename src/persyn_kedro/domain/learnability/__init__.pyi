"""Learnability: how likely the student finds each token of an answer."""

from .local import local_scorer as local_scorer
from .scoring import score_responses as score_responses
from .signals import signal_of as signal_of
from .statistics import token_statistics as token_statistics
