"""Quality: whether an answer is right, or how good a reward model or judge finds it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
