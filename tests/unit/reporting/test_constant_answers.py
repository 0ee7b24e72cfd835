"""Kinds of test prompts on which always saying the same scores well are named."""

from persyn_kedro.domain.reporting.constant_answers import constant_notes


def rows(source, *references):
    return [{"source": source, "reference": reference} for reference in references]


def test_a_kind_with_one_common_answer_is_named() -> None:
    prompts = [
        *rows("syllogism", *["No"] * 4, *["Yes"] * 8, None),
        *rows("sums", *map(str, range(20))),
        *rows("few", *["Yes"] * 9),
        *rows("rare", *["0"] * 2, *map(str, range(1, 9))),
        *rows("limit", *["0"] * 3, *map(str, range(1, 8))),
        *rows("open", *[None] * 12),
    ]
    limit, syllogism = constant_notes(prompts)
    assert limit.startswith("Of 10 test prompts of limit with a reference, 3 have '0': ")
    assert syllogism == (
        "Of 12 test prompts of syllogism with a reference, 8 have 'Yes' and 4 have 'No': a student "
        "that always answers the same is right on up to 66.7 % of them. Look at its answers before "
        "you take a gain there for more."
    )
    assert constant_notes([]) == []
