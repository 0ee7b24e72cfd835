"""Student-aware synthetic data: label, route, generate, fine-tune (PerSyn, arXiv 2510.10925)."""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
