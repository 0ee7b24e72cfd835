"""What the students of setting (b) do with lists, by kind of prompt: copy, or sort one way.

    .venv/bin/python benchmarks/habits.py data/experiment_b2

Reads the newest comparison and the students' answers in the response store. Of the sorting prompts:
the answers with the numbers of the example that each prompt contains, and those right on ascending
and on descending prompts. Of the reversal prompts: the answers that give the list as it stands, and
those right by the list's length.
"""

import argparse
import re
from pathlib import Path

import pandas as pd
import pyarrow.dataset as pads
from zoo_table import newest

EXAMPLE = ["-69", "-13", "1", "7", "11", "43", "59", "61"]
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
LIST = re.compile(r"Reverse this list of words: (.*)")


def answers_of(data: Path) -> pd.DataFrame:
    """Return a row for each student's answer with ``prompt``, ``source`` and ``response``."""
    trials = newest(data, "trials").to_pandas()[
        ["strategy", "prompt_id", "response_key", "quality"]
    ]
    store = pads.dataset([str(file) for file in data.glob("stores/responses/*/*.parquet")])
    texts = store.to_table(columns=["response_key", "response"]).to_pandas()
    prompts = newest(data, "source_prompts").to_pandas()[["prompt_id", "prompt", "source"]]
    return trials.merge(texts.drop_duplicates("response_key")).merge(prompts)


def sorting(answers: pd.DataFrame) -> pd.DataFrame:
    """Return, by strategy, shares of the answers to sorting prompts."""
    own = answers[answers.source == "number_sorting"]
    descending = own.prompt.str.contains("descending")
    copied = own.response.map(lambda text: NUMBER.findall(text)[-len(EXAMPLE) :] == EXAMPLE)
    return pd.DataFrame(
        {
            "give the example": copied.groupby(own.strategy).mean(),
            "right if ascending": own[~descending].groupby("strategy").quality.mean(),
            "right if descending": own[descending].groupby("strategy").quality.mean(),
        }
    )


def reversing(answers: pd.DataFrame) -> pd.DataFrame:
    """Return, by strategy, shares of the answers to reversal prompts."""
    own = answers[answers.source == "word_sequence_reversal"]
    lists = own.prompt.map(lambda text: LIST.search(text).group(1))  # type: ignore[union-attr]
    words = lists.str.count(",") + 1
    as_given = [given in text for given, text in zip(lists, own.response, strict=True)]
    shares = {"give the list as it stands": pd.Series(as_given, own.index)}
    found = {name: share.groupby(own.strategy).mean() for name, share in shares.items()}
    for length in sorted(words.unique()):
        right = own[words == length].groupby("strategy").quality.mean()
        found[f"right of {length} words"] = right
    return pd.DataFrame(found)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the data directory of experiment_b2")
    answers = answers_of(parser.parse_args().data)
    for table in (sorting(answers), reversing(answers)):
        shown = table.map(lambda share: f"{100 * share:.0f} %")
        head = ["strategy", *shown.columns]
        rows = [head, ["---"] * len(head), *([name, *row] for name, *row in shown.itertuples())]
        print("".join(f"| {' | '.join(row)} |\n" for row in rows))


if __name__ == "__main__":
    main()
