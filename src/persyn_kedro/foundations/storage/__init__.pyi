"""Where things lie: paths and object stores, the cache, checkpoints."""

from .cache import cache_directory as cache_directory
from .fsync import flush_directory as flush_directory, flush_tree as flush_tree
from .mirror import copy_within as copy_within, local_copy as local_copy, send as send
from .paths import (
    Place as Place,
    check_writable as check_writable,
    is_local as is_local,
    one_sentence_of as one_sentence_of,
    place as place,
)
from .prompt_files import files_content as files_content
