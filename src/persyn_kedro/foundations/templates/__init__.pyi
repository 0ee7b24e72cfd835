"""Chat templates as text: what is fixed in them, and that of models without one."""

from .fixed_template import what_is_fixed as what_is_fixed
