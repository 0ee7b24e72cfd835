"""As much of the Hugging Face hub as a push needs, on the loopback interface."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.loopback import JsonHandler, served


@dataclass
class Hub:
    """What the hub was sent. ``private`` is the visibility of each repository (kind, name)."""

    url: str
    private: dict[tuple[str, str], bool] = field(default_factory=dict)
    commits: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    refuse: str | None = None  # what it says of a commit, if it refuses it


class _Handler(JsonHandler):
    hub: Hub

    def do_GET(self) -> None:
        if self.path.count("/") != 4:  # the client asks for more than repositories
            return self.reply(404, {"error": "Not found"})
        self.hub.requests.append(f"GET {self.path}")
        _, _, kinds, owner, name = self.path.split("/")
        repository = kinds.removesuffix("s"), f"{owner}/{name}"
        if repository not in self.hub.private:
            self.reply(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        else:
            self.reply(200, {"id": repository[1], "private": self.hub.private[repository]})

    def do_POST(self) -> None:
        self.hub.requests.append(f"POST {self.path}")
        self.hub.tokens.add(self.headers.get("Authorization"))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/validate-yaml":
            self.reply(200, {"errors": [], "warnings": []})
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            repository = asked.get("type", "model"), f"{asked['organization']}/{asked['name']}"
            self.hub.private[repository] = asked["visibility"] == "private"
            self.reply(200, {"url": f"{self.hub.url}/{repository[1]}"})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            as_is = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            self.reply(200, {"files": [{"path": name, **as_is} for name in names]})
        elif self.hub.refuse:
            self.reply(403, {"error": self.hub.refuse})
        else:
            self.commit(body)

    def commit(self, body: bytes) -> None:
        _, _, kinds, owner, name, *_ = self.path.split("/")
        items = [json.loads(line) for line in body.splitlines()]
        files = {i["value"]["path"]: i["value"]["content"] for i in items if i["key"] == "file"}
        decoded = {path: base64.b64decode(content) for path, content in files.items()}
        self.hub.commits[kinds.removesuffix("s"), f"{owner}/{name}"] = decoded
        place = "" if kinds == "models" else f"{kinds}/"
        url = f"{self.hub.url}/{place}{owner}/{name}/commit/{'0' * 40}"
        self.reply(200, {"success": True, "commitOid": "0" * 40, "commitUrl": url})


@contextmanager
def serve() -> Iterator[Hub]:
    """Run the hub on a free port of the loopback interface."""
    hub = Hub("")
    with served(_Handler, hub=hub) as address:
        hub.url = address
        yield hub
