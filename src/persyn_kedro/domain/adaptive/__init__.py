"""Adaptive calibration: whom to ask next, by what earlier answers say of the best teacher."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
