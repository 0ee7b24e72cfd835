"""A run uses inputs that belong together, or an error says which two do not and how to fix it.

The newest versions are used, never older ones silently: whoever rebuilt the prompts wants the new
ones. If they do not belong together (``ancestry``), the error names the steps to run and, for
``--load-versions``, the newest older versions that do.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings import Settings
from persyn_kedro.pipeline_registry import MAKERS
from persyn_kedro.runs.ancestry import Ancestry, Clash
from persyn_kedro.runs.records import inputs_read


def check_belonging(pipeline: Pipeline, catalog: Any, settings: Settings) -> None:
    """Refuse a run whose nodes would join what does not belong together, as far as is known.

    What the run itself makes is known only then: ``check_node`` checks it. What a node does not
    read with these settings it does not join.

    Raises:
        PersynError: names two of the inputs, and how to fix it.
    """
    ancestry = Ancestry(catalog)
    seen: set[frozenset[str]] = set()
    behind: dict[str, frozenset[str]] = {}  # what the run makes: the inputs of the run behind it
    for node in pipeline.nodes:
        names = inputs_read(node, settings)
        free = frozenset().union(*(behind.get(name, {name}) for name in names))
        behind |= dict.fromkeys(node.outputs, free)
        if free not in seen:
            seen.add(free)
            _check(node, free, ancestry, older=True)


def check_node(node: Node, ancestry: Ancestry, settings: Settings) -> None:
    """Refuse to run a node on inputs that do not belong together (see ``check_belonging``)."""
    _check(node, inputs_read(node, settings), ancestry, older=False)


def pin_versions_behind(name: str, catalog: Any) -> dict[str, str]:
    """Pin all datasets to the versions that the newest ``name`` was made from; return them.

    Raises:
        PersynError: there is no ``name`` yet, a version has no record of what it was made from, or
            it was made from versions that do not belong together (older releases allowed that).
    """
    newest = catalog.get(name).newest()
    if newest is None:
        of_round = " --pipelines=next_round" if name.startswith("round_") else ""
        raise PersynError(f"No {name} yet: run `kedro run{of_round}`.")
    ancestry = Ancestry(catalog)
    found = ancestry.behind({name: newest})
    if isinstance(found, Clash):
        maker = next(n for p in MAKERS.values() for n in p().nodes if name in n.outputs)
        raise PersynError(
            f"{name} ({newest}) was made from {_difference(found)}: {_command(maker, ancestry)}."
        )
    for member, version in found.items():
        dataset = catalog.get(member)
        if version not in dataset.versions():
            raise PersynError(f"Version {version} of {member}, behind {name}, no longer exists.")
        if "input_versions" not in dataset.record(version):
            raise PersynError(
                f"The origin of {member} in version {version} is unknown: it was not saved by "
                "`kedro run` with the project's own runner."
            )
    for member, version in found.items():
        catalog.get(member).pin(version)
    return dict(sorted(found.items()))


def _check(node: Node, names: Iterable[str], ancestry: Ancestry, older: bool) -> None:
    """Raise an error if the loaded versions of ``names`` do not belong together.

    Args:
        older: whether to suggest older versions, as the run itself makes none of these.
    """
    chosen = ancestry.loaded(names)
    if len(chosen) < 2:  # nothing is joined
        return
    clash = ancestry.clash(chosen)
    if clash is None:
        return
    pinned = [name for name in chosen if ancestry.is_pinned(name)] if older else []
    mending = [] if pinned else [_command(node, ancestry)]
    if older and (versions := _older(chosen, pinned, ancestry)):
        listed = ",".join(f"{name}:{version}" for name, version in versions.items())
        mending.append(f"load versions that belong together with --load-versions={listed}")
    elif pinned:
        mending.append("leave out --load-versions")
    raise PersynError(
        f"The inputs of {node.name} do not belong together, as {_what(clash, chosen, pinned)}: "
        f"{', or '.join(mending)}."
    )


def _what(clash: Clash, chosen: Mapping[str, str], pinned: list[str]) -> str:
    one, other = (f"{name} ({chosen[name]})" for name in clash.via)
    if clash.about in clash.via:
        which = "chosen" if clash.about in pinned else "newest"
        return f"{one} was not made from the {which} {clash.about} ({chosen[clash.about]})"
    if one == other:
        return f"{one} was made from {_difference(clash)}"
    return f"{one} and {other} were made from {_difference(clash)}"


def _difference(clash: Clash) -> str:
    if clash.content is None:
        return f"different runs of {clash.about}"
    return f"different versions of {clash.about}"


def _command(node: Node, ancestry: Ancestry) -> str:
    """Return the command that rebuilds what is older than its own inputs, and the node's step."""
    whole = Pipeline([n for make in MAKERS.values() for n in make().nodes])
    steps = {_step(node)}
    while True:
        upstream = whole.to_nodes(*(n.name for step in steps for n in MAKERS[step]().nodes))
        found = steps | {_step(n) for n in _outdated(upstream, ancestry)}
        if found == steps:
            return f"run `kedro run --pipelines={','.join(s for s in MAKERS if s in steps)}`"
        steps = found


def _outdated(pipeline: Pipeline, ancestry: Ancestry) -> list[Node]:
    """Return the nodes whose newest outputs were not made from the newest inputs."""
    contents: dict[str, str | None] = {}
    found: list[Node] = []
    for node in pipeline.nodes:
        newest = {name: ancestry.origins(name)[:1] for name in node.outputs}
        made = [origin for origins in newest.values() for origin in origins]
        read = [(name, content) for origin in made for name, content in origin.inputs.items()]
        runs = [origin.runs for origin in made if origin.step]
        if (
            not all(newest.values())
            or any(contents.get(name, content) != content for name, content in read)
            or (runs and not frozenset.intersection(*runs))
        ):
            found.append(node)
            contents |= dict.fromkeys(node.outputs)
        else:
            contents |= {name: origin.content for name, (origin,) in newest.items()}
    return found


def _step(node: Node) -> str:
    name = node.name.partition(".")[0]
    return name if name in MAKERS else "next_round"


def _older(
    chosen: Mapping[str, str], pinned: list[str], ancestry: Ancestry
) -> dict[str, str] | None:
    """Return the newest versions that belong together, where they differ from those chosen.

    The user's choices are settled first, then what is made last; the rest must match these.
    """
    found: dict[str, str] = {}
    for name in sorted(ancestry.latest_first(chosen), key=lambda n: n not in pinned):
        versions = [o.versions[0] for o in ancestry.origins(name)]
        for version in [chosen[name], *(versions if name not in pinned else [])]:
            if ancestry.clash({**found, name: version}) is None:
                found[name] = version
                break
        else:
            return None
    return {name: v for name, v in found.items() if name in pinned or v != chosen[name]}
