"""The training set: routed answers, verified and merged, and where each row came from."""

from .checking import label_judge as label_judge, quality_checker as quality_checker
from .merge import build_sft_dataset as build_sft_dataset
from .provenance import trace as trace
from .routed import Wanted as Wanted, routed_generation as routed_generation
