"""Licences by their names on the hub's cards."""

import re
from typing import Any

# huggingface.co/docs/hub/repositories-licenses: any other name is refused in a card's front matter.
HUB_NAMES = frozenset(
    """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0
    bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause
    bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0
    cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
    cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0
    cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1
    agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by
    odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr
    deepfloyd-if-license llama2 llama3 llama3.1 llama3.2 llama3.3 gemma
    """.split()
)


def spelled(name: str) -> str:
    """Return the name in the hub's spelling if it is one of the hub's; else unchanged."""
    known = name.strip().lower()
    return known if known in HUB_NAMES else name.strip()


def front_matter(name: str | None) -> dict[str, Any]:
    """Return a card's fields for a licence; None means unknown."""
    if name is None:
        return {"license": "unknown"}
    if name in HUB_NAMES:
        return {"license": name}
    slug = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")
    return {"license": "other", "license_name": slug or "other"}
