"""The training set: routed answers, verified and merged, and where each row came from."""

from .checking import exact_checker as exact_checker
from .merge import build_sft_dataset as build_sft_dataset
from .provenance import trace as trace
from .routed import Wanted as Wanted, routed_generation as routed_generation, sum_calls as sum_calls
