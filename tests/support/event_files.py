"""What is in TensorBoard's event files."""

import struct
from pathlib import Path


def scalars_and_texts(directory: Path) -> tuple[dict[tuple[str, int], float], str]:
    """Return the scalars by name and step, and all texts, of a directory's one event file."""
    from tensorboardX.proto.event_pb2 import Event

    (file,) = directory.glob("events.out.tfevents.*")
    left, scalars, texts = file.read_bytes(), {}, ""
    while left:  # length, its checksum, the event, its checksum
        (size,) = struct.unpack("<Q", left[:8])
        event = Event.FromString(left[12 : 12 + size])
        left = left[16 + size :]
        for value in event.summary.value:
            if value.HasField("simple_value"):
                scalars[value.tag, event.step] = value.simple_value
            texts += "".join(text.decode() for text in value.tensor.string_val)
    return scalars, texts
