"""Compare strategies: what each trains a student on, and how that student performs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
