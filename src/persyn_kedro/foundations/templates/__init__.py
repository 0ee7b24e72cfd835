"""Chat templates as text: what is fixed in them, and the default for models without one."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
