"""Teachers: request answers and store them, so that each is paid for only once."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
