"""Models: found, fetched, loaded, and their chats rendered."""

from .files import local_directory as local_directory, read_config as read_config
from .hub import ask_anew as ask_anew, hub_commit as hub_commit
from .identities import (
    against_identity as against_identity,
    harness_identity as harness_identity,
    model_identity as model_identity,
    source_identity as source_identity,
)
from .load import check_shards as check_shards, load_tokenizer as load_tokenizer
from .own_templates import check_known_template as check_known_template
from .rendering import render as render, show_mask as show_mask
from .resolve import (
    check_hub_files as check_hub_files,
    check_source as check_source,
    find_model as find_model,
    identify_weights as identify_weights,
    resolve_model as resolve_model,
    resolve_models as resolve_models,
)
from .roles import Asked as Asked, check_roles as check_roles
from .zoo_source import source_of as source_of
