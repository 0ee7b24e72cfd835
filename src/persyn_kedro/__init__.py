"""Student-aware synthetic data: label, route, generate, fine-tune (PerSyn, arXiv 2510.10925)."""

__version__ = "0.1.0"
