"""Signals of learnability compared: what they change, which one trains the better student."""

from .candidates import check_signals as check_signals
from .choices import best_teachers as best_teachers
from .compare import compare_signals as compare_signals
from .recommendation import recommend as recommend
from .training_sets import hold_out as hold_out, signal_sets as signal_sets
