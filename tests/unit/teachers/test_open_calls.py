"""Which calls of a model are not answered yet."""

from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from persyn_kedro.domain.teachers.pending import PendingCalls
from persyn_kedro.domain.teachers.requests import Call


@given(st.lists(st.text("0123456789abcdef", min_size=18, max_size=18), unique=True), st.data())
def test_a_call_is_found_by_its_key_once(keys, data):
    """Also where the first 16 digits are those of another."""
    keys = sorted({*keys, *(key[:16] + "ff" for key in keys[:5])})
    cut = data.draw(st.integers(0, len(keys)))
    group = [
        SimpleNamespace(
            missing=own,
            missing_keys=pa.array(own, pa.string()),
            call=lambda n, own=own: Call(own[n], "r", "p"),
        )
        for own in (keys[:cut], keys[cut:])
    ]
    pending = PendingCalls(group)
    taken = data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    assert [pending.take(key).key for key in taken] == taken
    assert all(pending.take(key) is None for key in taken)
    assert [call.key for call in pending.calls()] == [key for key in keys if key not in taken]
    assert (len(pending), pending.left) == (len(keys), len(keys) - len(taken))
    with pytest.raises(KeyError):
        pending.take("0" * 17 + "x")
