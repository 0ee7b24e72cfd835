"""Student-aware synthetic data: label, route, generate, fine-tune (PerSyn, arXiv 2510.10925)."""

from .api.generate import generate as generate
from .api.label import Labels as Labels, label as label
from .api.pool import Pool as Pool, pool as pool
from .api.prompts import prompt_table as prompt_table
from .api.routing import fit_router as fit_router, route as route
from .foundations.errors import PersynError as PersynError

__version__: str
