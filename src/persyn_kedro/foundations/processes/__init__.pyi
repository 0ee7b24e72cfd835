"""Models' processes on this machine, and blocks of work on a cluster."""

from .child import call_in_child as call_in_child, run_in_child as run_in_child
from .fork_server import import_ahead as import_ahead
from .kept import keep_models as keep_models
from .map_blocks import flat as flat, spread as spread
from .memory import free_bytes as free_bytes
from .ranks import check_gpus as check_gpus
from .ray.cluster import check_cluster as check_cluster, check_reachable as check_reachable
from .target import current as current, use as use
from .together import train_together as train_together
