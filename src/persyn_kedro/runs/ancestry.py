"""Which versions belong together, by the records of what each was made from, back to the prompts.

Versions belong together if everything that they were made from agrees: no dataset is behind them
with two contents, and where outputs of one step are, they are from one run of it. Contents are
compared, not the names of versions: a step that ran again with the same result changes nothing. So
a version counts as made from anything with the same content, as in a run that skips steps.
A version without a record (put there by hand) belongs with everything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from persyn_kedro.datasets.atomic import AtomicVersionedDataset


@dataclass(frozen=True)
class Origin:
    """Versions of one dataset that have the same content and were made from the same contents.

    Attributes:
        versions: newest first.
        inputs: content hash of each dataset that was read; empty if there is no record of it.
        input_versions: by version, the versions that were read.
        runs: the runs of the step that made them.
    """

    content: str
    step: str | None
    versions: tuple[str, ...]
    inputs: Mapping[str, str]
    input_versions: Mapping[str, Mapping[str, str]]
    runs: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Wanted:
    """A content of a dataset that must be behind a version.

    Attributes:
        version: the one that has it, as far as is known.
        via: which of the given versions needs it.
    """

    content: str
    version: str
    via: str


@dataclass(frozen=True)
class Clash:
    """Two versions that do not belong together.

    Attributes:
        via: the two of the given versions; the same one twice if it contradicts itself.
        about: the dataset, or the step, that is behind both but differs.
        content: of ``about``, as behind the first of ``via``; None for a step.
        depth: how much agreed before the clash.
    """

    via: tuple[str, str]
    about: str
    content: str | None
    depth: int


@dataclass(frozen=True)
class _Search:
    """What is wanted and found so far, and which runs of each step are still possible."""

    wanted: Mapping[str, Wanted]
    found: Mapping[str, Origin]
    runs: Mapping[str, tuple[frozenset[tuple[str, str]], str]]


class Ancestry:
    """What the versions of a catalog's datasets were made from.

    Records are read once: ``forget`` those of datasets that have new versions.
    """

    def __init__(self, catalog: Any) -> None:
        self._catalog = catalog
        self._origins: dict[str, list[Origin]] = {}
        self._depths: dict[str, int] = {}
        self._clash: Clash | None = None

    def versioned(self, name: str) -> AtomicVersionedDataset | None:
        """Return the dataset if its versions have records."""
        dataset = self._catalog.get(name)
        return dataset if isinstance(dataset, AtomicVersionedDataset) else None

    def loaded(self, names: Iterable[str]) -> dict[str, str]:
        """Return the version that would be loaded of each of these datasets that has any."""
        datasets = {name: self.versioned(name) for name in names}
        newest = {name: dataset.newest() for name, dataset in datasets.items() if dataset}
        return {name: version for name, version in newest.items() if version}

    def is_pinned(self, name: str) -> bool:
        """Return whether the dataset is pinned to a version."""
        dataset = self.versioned(name)
        return dataset is not None and dataset.is_pinned

    def latest_first(self, names: Iterable[str]) -> list[str]:
        """Return the datasets, each before those that it was made from."""
        return sorted(names, key=self._place)

    def _place(self, name: str) -> tuple[int, str]:
        return -self._depth(name), name

    def _depth(self, name: str) -> int:
        """Return the most steps between the dataset and the first one."""
        if name not in self._depths:
            self._depths[name] = 0  # ends the recursion if records form a cycle
            inputs = {i for origin in self.origins(name) for i in origin.inputs}
            self._depths[name] = 1 + max((self._depth(i) for i in inputs), default=0)
        return self._depths[name]

    def forget(self, names: Iterable[str]) -> None:
        """Read the records of these datasets again when they are next needed."""
        for name in names:
            self._origins.pop(name, None)
        self._depths.clear()

    def clash(self, chosen: Mapping[str, str]) -> Clash | None:
        """Return which two of these versions, by dataset, do not belong together, if any."""
        return None if self._settled(chosen) is not None else self._clash

    def behind(self, chosen: Mapping[str, str]) -> dict[str, str] | Clash:
        """Return these versions and those behind them, or which two do not belong together.

        Of several versions with the same content, the one that was read is returned.
        """
        search = self._settled(chosen)
        if search is None:
            assert self._clash is not None  # noqa: S101 - only a clash ends a search early
            return self._clash
        return {name: wanted.version for name, wanted in search.wanted.items()}

    def content(self, name: str, version: str) -> str | None:
        """Return the content hash of a version, None if it no longer exists."""
        return next((o.content for o in self.origins(name) if version in o.versions), None)

    def origins(self, name: str) -> list[Origin]:
        """Return all versions of a dataset, equal ones merged, newest first."""
        if name not in self._origins:
            dataset = self.versioned(name)
            made = [self._origin(dataset, v) for v in dataset.versions()] if dataset else []
            alike: dict[Any, Origin] = {}
            for one in made:
                key = (one.content, one.step, *sorted(one.inputs.items()))
                old = alike.get(key)
                alike[key] = one if old is None else _together(old, one)
            self._origins[name] = list(alike.values())
        return self._origins[name]

    def _origin(self, dataset: AtomicVersionedDataset, version: str) -> Origin:
        record = dataset.record(version)
        inputs = record.get("reading", {}).get("inputs", {})
        return Origin(
            record["content"],
            record.get("step"),
            (version,),
            {n: c for n, c in inputs.items() if c != "missing" and self.versioned(n) is not None},
            {version: record.get("input_versions", {})},
            frozenset({(record.get("fingerprint", ""), str(record.get("run")))}),
        )

    def _settled(self, chosen: Mapping[str, str]) -> _Search | None:
        self._clash = None
        wanted = {
            name: Wanted(content, version, name)
            for name, version in chosen.items()
            if (content := self.content(name, version)) is not None
        }
        return self._settle(_Search(wanted, {}, {}))

    def _settle(self, search: _Search) -> _Search | None:
        """Find an origin for everything that is wanted, starting with what is made last."""
        left = search.wanted.keys() - search.found.keys()
        if not left:
            return search
        name = min(left, key=self._place)
        want = search.wanted[name]
        possible = [o for o in self.origins(name) if o.content == want.content]
        if not possible:  # its versions no longer exist
            return self._settle(replace(search, found={**search.found, name: _GONE}))
        for origin in sorted(possible, key=lambda o: want.version not in o.versions):
            clash = _clash(search, origin, want)
            if clash is None:
                done = self._settle(_with(search, name, origin, want))
                if done is not None:
                    return done
            elif self._clash is None or clash.depth > self._clash.depth:
                self._clash = clash
        return None


_GONE = Origin("", None, (), {}, {}, frozenset())


def _together(newer: Origin, older: Origin) -> Origin:
    return replace(
        newer,
        versions=newer.versions + older.versions,
        input_versions={**newer.input_versions, **older.input_versions},
        runs=newer.runs | older.runs,
    )


def _clash(search: _Search, origin: Origin, want: Wanted) -> Clash | None:
    for name, content in origin.inputs.items():
        other = search.wanted.get(name)
        if other is not None and other.content != content:
            return Clash((want.via, other.via), name, content, len(search.found))
    if origin.step in search.runs:
        runs, via = search.runs[str(origin.step)]
        if not runs & origin.runs:
            return Clash((want.via, via), str(origin.step), None, len(search.found))
    return None


def _with(search: _Search, name: str, origin: Origin, want: Wanted) -> _Search:
    version = want.version if want.version in origin.versions else origin.versions[0]
    read = origin.input_versions[version]
    inputs = {
        n: Wanted(content, read.get(n, ""), want.via)
        for n, content in origin.inputs.items()
        if n not in search.wanted
    }
    runs = dict(search.runs)
    if origin.step is not None:
        earlier, via = runs.get(origin.step, (origin.runs, want.via))
        runs[origin.step] = (earlier & origin.runs, via)
    wanted = {**search.wanted, name: replace(want, version=version), **inputs}
    return _Search(wanted, {**search.found, name: origin}, runs)
