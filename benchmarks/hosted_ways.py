"""One way to ask a hosted model, run by hosted.py in an environment that has what it needs.

    python benchmarks/hosted_ways.py WAY URL CALLS AT_ONCE DIRECTORY

It prints, as JSON, the seconds from the first call to the last answer (in the store, where there
is one), the processor seconds, and the process's peak memory. Imports do not count.
"""

import asyncio
import importlib.util
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

TOKENS = 512
SAMPLING = {"temperature": 0.7, "top_p": 1.0}


def prompt(number: int) -> str:
    """Return a prompt of about 60 tokens."""
    return f"What is {number} plus {number + 1}? " + "Think about it step by step. " * 8


def body(text: str) -> dict[str, Any]:
    """Return what all ways send, more or less."""
    message = {"role": "user", "content": text}
    return {"model": "m", "messages": [message], **SAMPLING, "max_tokens": TOKENS, "seed": 5}


def answered(ask: Callable[[str], Awaitable[str]], calls: int, at_once: int) -> Awaitable[Any]:
    """Ask with so many tasks."""
    waiting = iter(range(calls))
    answers: dict[int, str] = {}

    async def work() -> None:
        for number in waiting:
            answers[number] = await ask(prompt(number))

    async def all_of_it() -> None:
        await asyncio.gather(*(work() for _ in range(at_once)))
        if len(answers) != calls:
            raise SystemExit(f"{len(answers)} answers to {calls} calls")

    return all_of_it()


def bare_openai(url: str, calls: int, at_once: int, _: Path, aiohttp: bool) -> Callable[[], Any]:
    """Ask by the official client; its connections are as many as are wanted."""
    import openai

    def client() -> Any:
        if aiohttp:
            return openai.DefaultAioHttpClient()
        httpx = sys.modules.get("httpx2") or sys.modules["httpx"]
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return openai.DefaultAsyncHttpxClient(limits=limits)

    async def run() -> None:
        options = {"base_url": url, "api_key": "none", "max_retries": 0, "timeout": 120.0}
        async with openai.AsyncOpenAI(http_client=client(), **options) as asked:

            async def ask(text: str) -> str:
                made = await asked.chat.completions.create(**body(text))
                return made.choices[0].message.content

            await answered(ask, calls, at_once)

    return lambda: asyncio.run(run())


def bare_aiohttp(url: str, calls: int, at_once: int, _: Path) -> Callable[[], Any]:
    """Ask by aiohttp, and look at nothing but the text."""
    import aiohttp

    async def run() -> None:
        connector = aiohttp.TCPConnector(limit=0)
        headers = {"Authorization": "Bearer none", "Content-Type": "application/json"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

            async def ask(text: str) -> str:
                data = json.dumps(body(text)).encode()
                async with session.post(f"{url}/chat/completions", data=data) as response:
                    made = json.loads(await response.text())
                    return made["choices"][0]["message"]["content"]

            await answered(ask, calls, at_once)

    return lambda: asyncio.run(run())


def curator(url: str, calls: int, at_once: int, directory: Path) -> Callable[[], Any]:
    """Ask by Bespoke Curator, with its cache and its limits out of the way."""
    os.environ |= {
        "CURATOR_CACHE_DIR": str(directory),
        "CURATOR_DISABLE_RICH_DISPLAY": "1",
        "TELEMETRY_ENABLED": "false",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "OPENAI_API_KEY": "none",
        "TIKTOKEN_CACHE_DIR": f"{tiktoken_files()}",
    }
    from bespokelabs import curator
    from datasets import Dataset

    class Asked(curator.LLM):
        def prompt(self, row: dict[str, Any]) -> str:
            return row["prompt"]

        def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
            return {"prompt": row["prompt"], "response": response}

    def run() -> None:
        asked = Asked(
            model_name="m",
            backend="openai",
            generation_params={**SAMPLING, "max_tokens": TOKENS},
            backend_params={
                "base_url": url,
                "max_concurrent_requests": at_once,
                "max_requests_per_minute": 10_000_000,
                "max_tokens_per_minute": 10_000_000_000,
            },
        )
        made = asked(Dataset.from_list([{"prompt": prompt(n)} for n in range(calls)]))
        check(len(made.dataset), calls)

    return run


def tiktoken_files() -> Path:
    """Return where LiteLLM has the encodings that tiktoken would download."""
    (litellm,) = importlib.util.find_spec("litellm").submodule_search_locations  # type: ignore
    return Path(litellm) / "litellm_core_utils" / "tokenizers"


def data_designer(url: str, calls: int, at_once: int, directory: Path) -> Callable[[], Any]:
    """Ask by Data Designer: a seed table of prompts, and one column by a model."""
    os.environ["DATA_DESIGNER_HOME"] = str(directory)
    import data_designer.config as dd
    import pandas as pd
    from data_designer.interface import DataDesigner

    provider = dd.ModelProvider(name="here", endpoint=url, api_key="none")
    inference = dd.ChatCompletionInferenceParams(
        **SAMPLING, max_tokens=TOKENS, max_parallel_requests=at_once
    )
    model = dd.ModelConfig(
        alias="m", model="m", provider="here", inference_parameters=inference,
        skip_health_check=True,
    )  # fmt: skip

    def run() -> None:
        seed = dd.DataFrameSeedSource(df=pd.DataFrame({"q": [prompt(n) for n in range(calls)]}))
        config = dd.DataDesignerConfigBuilder(model_configs=[model]).with_seed_dataset(seed)
        column = dd.LLMTextColumnConfig(name="a", model_alias="m", prompt="{{ q }}")
        config.add_column(column)
        designer = DataDesigner(directory / "artifacts", model_providers=[provider])
        designer.set_run_config(dd.RunConfig(otel_metrics_port=None))
        made = designer.create(config, num_records=calls)
        check(len(made.load_dataset()), calls)

    return run


def ours(
    url: str, calls: int, at_once: int, directory: Path, teachers: int = 1, chunk: int = 32
) -> Callable[[], Any]:
    """Ask as a run does: prompts from disk, a store, a budget, and a ledger."""
    import aiohttp  # noqa: F401 - the package imports it as late as it can
    import numpy as np
    import pyarrow as pa
    import pyarrow.dataset as pads
    import pyarrow.parquet as pq

    from persyn_kedro.domain.prompts.chosen import ChosenPrompts
    from persyn_kedro.domain.stores import ResponseStore
    from persyn_kedro.domain.teachers import Ledger, Recipe, make_sure
    from persyn_kedro.foundations.hashing import text_id
    from persyn_kedro.foundations.models.resolve import resolve_model
    from persyn_kedro.foundations.settings.engine import EngineSettings
    from persyn_kedro.foundations.settings.models import ModelSettings
    from persyn_kedro.foundations.settings.sampling import SamplingSettings
    from persyn_kedro.foundations.settings.spending import Budget
    from persyn_kedro.foundations.tables import PROMPT
    from persyn_kedro.foundations.tables.rows import BLOCK, TableRows
    from persyn_kedro.foundations.tables.schemas import MESSAGES

    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "prompts.parquet"
    schema = pa.schema({"prompt_id": "string", "prompt": "string", "messages": MESSAGES})
    with pq.ParquetWriter(path, schema) as writer:
        for texts in blocks(calls, BLOCK):
            rows = [{"prompt_id": text_id(text), "prompt": text} for text in texts]
            writer.write_table(pa.Table.from_pylist(rows, schema), row_group_size=BLOCK)
    ids = pq.read_table(path, columns=["prompt_id"])["prompt_id"].combine_chunks()
    prompts = ChosenPrompts(TableRows(pads.dataset(path), PROMPT), ids, np.arange(calls))
    names = [f"m{n}" for n in range(teachers)]
    recipes = [
        Recipe(
            name,
            resolve_model(
                name,
                ModelSettings(endpoint={"url": url, "model": name, "max_concurrency": at_once}),
            ),
            None,
            SamplingSettings(**SAMPLING, max_new_tokens=TOKENS),
            price=1.0,
            budget=Budget(max_tokens=10**15),
        )
        for name in names
    ]
    engine = EngineSettings(chunk_size=chunk, budget=Budget(max_cost=1e9))

    def run() -> None:
        store, wanted = ResponseStore(directory / "store"), dict.fromkeys(names, prompts)
        outcomes, made = make_sure(wanted, recipes, store, engine, 0, Ledger())
        check(outcomes["error"].null_count, calls * teachers)
        check(sum(made["calls"].to_pylist()), calls * teachers)

    return run


def blocks(count: int, size: int) -> Iterator[list[str]]:
    """Yield the prompts, so many at a time."""
    for start in range(0, count, size):
        yield [prompt(number) for number in range(start, min(start + size, count))]


def check(answers: int, calls: int) -> None:
    """End with an error unless all was answered."""
    if answers != calls:
        raise SystemExit(f"{answers} answers to {calls} calls")


WAYS: dict[str, Callable[..., Callable[[], Any]]] = {
    "ours": ours,
    "ours, ten teachers": lambda *args: ours(*args, teachers=10),
    "ours, chunks of 512": lambda *args: ours(*args, chunk=512),
    "aiohttp": bare_aiohttp,
    "openai": lambda *args: bare_openai(*args, aiohttp=False),
    "openai on aiohttp": lambda *args: bare_openai(*args, aiohttp=True),
    "Bespoke Curator": curator,
    "Data Designer": data_designer,
}


def processor_seconds() -> float:
    """Return those of this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    """Make the way ready, time it, and print the result as the last line."""
    way, url, calls, at_once, directory = sys.argv[1:]
    run = WAYS[way](url, int(calls), int(at_once), Path(directory))
    used, begun = processor_seconds(), time.perf_counter()
    run()
    seconds, used = time.perf_counter() - begun, processor_seconds() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print("\n" + json.dumps({"seconds": seconds, "processor": used, "peak_gib": peak}), flush=True)
    os._exit(0)  # whatever threads a library has left


if __name__ == "__main__":
    main()
