"""Prompts: plain texts, and conversations that end with the user's message."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
