"""What integration tests share."""

import re

import pytest

from tests.support.fixtures import fake, one_hub_a_test, small_blocks, store  # noqa: F401
from tests.support.router_cases import fake_embedding, tiny  # noqa: F401
from tests.support.s3_server import BUCKET


@pytest.fixture
def url(s3_server: dict[str, str], request: pytest.FixtureRequest) -> str:
    """A place in the S3 server's bucket for the test alone."""
    return f"s3://{BUCKET}/{re.sub(r'[^a-z]', '_', request.node.name)}"
