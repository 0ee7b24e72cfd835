"""Compare ways of judging answers: do they agree, and what would each have routed?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
