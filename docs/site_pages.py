"""A MkDocs hook: the site's pages that are not in docs/, and its navigation.

The files of PAGES become pages, every package gets an API page, and links to other files of the
repository lead to copies of them.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "persyn_kedro"
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
}
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s]+)((?:#[^)\s]*)?\))")
PROSE_OR_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def rooms() -> dict[str, list[str]]:
    """Return the API pages: each page's modules by its address."""
    found: dict[str, list[str]] = {}
    for part in ("api", "domain", "foundations", "pipelines"):
        for path in sorted((PACKAGE / part).rglob("*.py")):
            names = path.relative_to(PACKAGE).with_suffix("").parts
            if names[-1] == "__init__" or names[-1].startswith("_"):
                continue
            page = "/".join(names[:2]) if part == "domain" else part
            found.setdefault(f"reference/{page}.md", []).append(".".join(names))
    return found


def page_of(modules: list[str], page: str) -> str:
    """Return an API page's text."""
    title = page.removeprefix("reference/").removesuffix(".md").replace("/", ".")
    return "\n\n".join([f"# {title}", *(f"::: persyn_kedro.{name}" for name in modules), ""])


def source_of(uri: str) -> str:
    """Return the repository path of the page at ``uri`` in the site's sources."""
    return next((name for name, page in PAGES.items() if page == uri), f"docs/{uri}")


def place_of(target: str) -> str:
    """Return the place of a repository file in the site's sources."""
    return PAGES.get(target, target.removeprefix("docs/"))


def links_of(source: str, text: str) -> set[str]:
    """Return the repository files that a page's text links to."""
    parts = PROSE_OR_CODE.split(text)[::2]
    links = {match[2] for part in parts for match in LINK.finditer(part)}
    directory = posixpath.dirname(source)
    paths = {posixpath.normpath(posixpath.join(directory, x)) for x in links if "://" not in x}
    return {path for path in paths if (ROOT / path).is_file()}


def relinked(source: str, text: str) -> str:
    """Return a page's text with links that work between the site's sources."""
    directory, own = posixpath.dirname(source), posixpath.dirname(place_of(source))

    def link(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(directory, match[2]))
        if "://" in match[2] or not (ROOT / path).is_file():
            return match[0]
        return match[1] + posixpath.relpath(place_of(path), own or ".") + match[3]

    parts = PROSE_OR_CODE.split(text)
    return "".join(x if i % 2 else LINK.sub(link, x) for i, x in enumerate(parts))


def on_config(config: Any) -> Any:
    """Set the navigation: the existing guides and results, and the API."""
    guides = sorted((ROOT / "docs" / "guides").glob("*.md"))
    domain = [page for page in rooms() if page.startswith("reference/domain/")]
    config.nav = [
        {"Start": ["index.md", {"Quick start": "quickstart.md"}, {"Concepts": "concepts.md"}]},
        *([{"Guides": [f"guides/{path.name}" for path in guides]}] if guides else []),
        {
            "Use": [
                {"Commands": "usage.md"},
                {"Bring your own": "customising.md"},
                {"Settings": "settings.md"},
                {"Reliability": "reliability.md"},
                {"Errors and questions": "errors.md"},
                {"Stability": "stability.md"},
                {"Compare": "comparing.md"},
            ]
        },
        {"Method": "METHOD.md"},
        {
            "Measured": [
                {"Results": "results.md"},
                {"Plan of the second experiment": "experiment_plan.md"},
                {"Performance": "performance.md"},
            ]
        },
        {"Run elsewhere": [{"Deploy": "deploy.md"}, {"A cluster": "scale.md"}]},
        {
            "Contribute": [
                {"Contributing": "contributing.md"},
                {"Changelog": "changelog.md"},
                {"Security": "security.md"},
                {"Code of conduct": "code_of_conduct.md"},
            ]
        },
        {
            "API": [
                {"persyn_kedro": "reference/api.md"},
                {"domain": [{posixpath.basename(p).removesuffix(".md"): p} for p in domain]},
                {"foundations": "reference/foundations.md"},
                {"pipelines": "reference/pipelines.md"},
            ]
        },
    ]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages, and the files that pages link to."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for page, modules in rooms().items():
        files.append(File.generated(config, page, content=page_of(modules, page)))
    pages = [file for file in files.documentation_pages() if "reference/" not in file.src_uri]
    linked = {
        path for file in pages for path in links_of(source_of(file.src_uri), file.content_string)
    }
    for path in sorted(linked):
        if files.get_file_from_path(place_of(path)) is None:
            source = str(ROOT / path)
            files.append(File.generated(config, path, abs_src_path=source))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Fix a page's links."""
    return relinked(source_of(page.file.src_uri), markdown)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Turn "METHOD.md" in docstrings into a link to the page."""
    if not page.file.src_uri.startswith("reference/"):
        return html
    to_method = page.url.count("/") * "../" + "METHOD/"
    return html.replace("METHOD.md", f'<a href="{to_method}">METHOD.md</a>')
