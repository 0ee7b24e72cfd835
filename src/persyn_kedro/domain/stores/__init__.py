"""Append-only, content-addressed stores of what was paid for or computed."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
