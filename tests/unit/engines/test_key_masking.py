"""Keys in what servers say: no part of one is told, and other words are left alone."""

import random
import string

import pytest

from persyn_kedro.domain.engines.replies.key_masking import without_key

KEY = "sk-proj-Ab3dE6gH9jK2mN5pQ8rS1tU4wXyZ"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"Incorrect API key provided: {KEY}.", "Incorrect API key provided: ***."),
        (f"Bearer {KEY}, no", "Bearer ***, no"),
        ("Incorrect API key: sk-proj-Ab****wXyZ. See", "Incorrect API key: ***. See"),
        ("key sk-pr*********************yZ", "key ***"),
        ("key sk-...wXyZ, sk-\u2026wXyZ", "key ***, ***"),
        ("key sk-projxxxxxxxxxxwXyZ", "key ***"),
        ("key ***wXyZ is not known", "key *** is not known"),
        ("the key that ends in wXyZ", "the key that ends in ***"),
        ("the key that begins with sk-proj", "the key that begins with ***"),
        ("key_ending_wXyZ is wrong", "key_ending_*** is wrong"),
        ("Ab3dE6g_x, sk_proj_Ab3dE6", "***_x, sk_***_***"),
        ("see wXyZ.json, not-wXyZ", "see ***.json, not-***"),
        ("[REDACTED]XyZ <redacted>_XyZ sk-REDACTED", "*** *** ***"),
        ("Qr9 ***H9j, [masked]H9j", "Qr9 ***, ***"),
        ("cut off: gH9jK2mN5pQ8", "cut off: ***"),
        (f"in part: {KEY[:20]}", "in part: ***"),
        (f"in part: x{KEY[5:30]}y", "in part: x***y"),
        (f"b'{KEY.upper()}\\n' {KEY.lower()}", "b'***\\n' ***"),
        ("\u0130 " + KEY, "\u0130 ***"),
    ],
)
def test_no_part_of_a_key_is_told(said: str, told: str) -> None:
    assert without_key(said, KEY) == told


@pytest.mark.parametrize(
    "text",
    ["The model `m` does not exist.", "Rate limit reached... try again in 7.66s", "", "** bold **",
     "maximum context length is 512 tokens (512 > 500 - 30)", "see https://h.example/a-b?c=d"],
)  # fmt: skip
@pytest.mark.parametrize("key", [KEY, "", "a"])
def test_other_words_are_left_alone(text: str, key: str) -> None:
    assert without_key(text, key) == text


def test_any_eight_characters_of_any_key_are_masked_wherever_they_stand() -> None:
    draw = random.Random(3)
    for _ in range(300):
        key = "".join(draw.choices(string.ascii_letters + string.digits + "-_", k=40))
        start, size = draw.randrange(32), draw.randrange(8, 40)
        part = key[start : start + size]
        around = draw.choice(["{}", "x{}", "({})", "a {}", "\n{}\n", "{}9", "{}*", "\\{}"])
        told = without_key(around.format(part), key)
        assert not any(part[i : i + 8] in told for i in range(len(part) - 7))
