"""The training set: routed answers, verified and merged, and where each row came from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
