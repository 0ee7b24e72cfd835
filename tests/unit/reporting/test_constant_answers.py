"""Kinds of test prompts on which always saying the same scores well are named."""

from persyn_kedro.domain.reporting.constant_answers import constant_notes


def rows(source, *references):
    return [{"source": source, "reference": reference} for reference in references]


def test_a_kind_with_one_common_answer_is_named() -> None:
    prompts = [
        *rows("syllogism", *["Yes"] * 8, *["No"] * 3, None),
        *rows("sums", *map(str, range(20))),
        *rows("few", *["Yes"] * 9),
        *rows("rare", *["0"] * 2, *map(str, range(1, 9))),
        *rows("limit", *["0"] * 3, *map(str, range(1, 8))),
        *rows("open", *[None] * 12),
    ]
    limit, syllogism = constant_notes(prompts)
    assert limit.startswith("Of 10 test prompts of limit, 3 have the reference '0': ")
    assert syllogism == (
        "Of 11 test prompts of syllogism, 8 have the reference 'Yes': a student that always "
        "answers so is right on 72.7 % of them. Look at its answers before you take a gain there "
        "for more."
    )
