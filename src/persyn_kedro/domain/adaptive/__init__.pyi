"""Adaptive calibration: whom to ask next, by what earlier answers say of the best teacher."""

from .batches import answer_adaptively as answer_adaptively
from .design import answer_by_design as answer_by_design
from .scoring import Scoring as Scoring
