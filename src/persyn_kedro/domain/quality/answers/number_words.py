"""Numbers in words: seven, twenty-one, one hundred and five, two thousand three hundred."""

import re

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_BELOW_100 = rf"(?:(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(_ONES[1:10])}))?|{'|'.join(_ONES)})"
_BELOW_1000 = (
    rf"(?:(?:{'|'.join(_ONES[1:10])}) hundred(?:(?: and)? {_BELOW_100})?|{_BELOW_100})(?![a-z])"
)
_PATTERN = rf"{_BELOW_1000}(?: (?:{'|'.join(_SCALES)})(?:,?(?: and)? {_BELOW_1000})?)*"
_NUMBER = re.compile(_PATTERN)
NUMBER_WORDS = re.compile(rf"(?<![\w-]){_PATTERN}(?![\w-])", re.I)


def read_number_words(text: str) -> int | None:
    """Return the number if the text is nothing else, or None."""
    if len(text) > 200 or not _NUMBER.fullmatch(text := text.casefold()):
        return None
    total, part, last = 0, 0, 10**15
    for word in re.findall("[a-z]+", text):
        if word in _SCALES:
            if _SCALES[word] >= last:  # two thousand million
                return None
            last = _SCALES[word]
            total, part = total + part * last, 0
        elif word == "hundred":
            part *= 100
        elif word != "and":
            part += _ONES.index(word) if word in _ONES else 20 + 10 * _TENS.index(word)
    return total + part
