"""A judge's rubric: what makes an answer good, in words, and the scale of its scores."""

import math
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id

OURS = ("instruction_following", "correctness")
_KEYS = ("text", "scale", "reference")


@dataclass(frozen=True)
class Rubric:
    """What a judge is told.

    Attributes:
        text: what makes an answer good.
        least: the worst score.
        most: the best.
        reference: whether the judge is shown the prompt's reference, and judges only prompts that
            have one.
    """

    text: str
    least: float
    most: float
    reference: bool = False

    @property
    def identity(self) -> str:
        """Changes with all that the rubric says."""
        scale = [self.least, self.most]
        return settings_id({"text": self.text, "scale": scale, "reference": self.reference})


def load_rubric(name: str) -> Rubric:
    """Return one of ``OURS``, or that in a YAML file: text, scale with min and max, reference.

    Raises:
        PersynError: there is no such file, or it is not a rubric; the message names file and key.
    """
    try:
        ours = files(__package__) / "rubrics" / f"{name}.yaml"
        text = (ours if name in OURS else Path(name)).read_text(encoding="utf-8")
    except OSError as error:
        raise PersynError(
            f"The rubric {name} cannot be read ({error.strerror}); name {' or '.join(OURS)}, or a "
            "YAML file of yours."
        ) from error
    except UnicodeDecodeError as error:
        raise PersynError(f"The rubric {name} is not UTF-8; convert it to UTF-8.") from error
    try:
        return _rubric(yaml.safe_load(text))
    except yaml.YAMLError as error:
        why = " ".join(str(error).split())
        raise PersynError(f"The rubric {name} is not YAML: {why}.") from error
    except ValueError as error:
        raise PersynError(f"The rubric {name} {error}.") from error


def _rubric(found: Any) -> Rubric:
    """Return the rubric; a ValueError says what is wrong with the file."""
    if not isinstance(found, dict):
        raise ValueError("must have the keys text and scale: {min: …, max: …}")
    if unknown := [key for key in found if key not in _KEYS]:
        raise ValueError(f"has the unknown key {unknown[0]!r}; it may have {', '.join(_KEYS)}")
    text, scale, reference = (found.get(key) for key in _KEYS)
    if not isinstance(text, str) or not text.strip():
        raise ValueError("has no text: say in it what makes an answer good")
    if not isinstance(scale, dict) or {*scale} != {"min", "max"}:
        raise ValueError("has no scale: add scale: {min: 1, max: 10}, or what your text says")
    least, most = scale["min"], scale["max"]
    if not (_is_number(least) and _is_number(most) and least < most):
        raise ValueError("has a scale that is not two numbers, min below max")
    if reference not in (None, True, False):
        raise ValueError("has a reference that is not true or false")
    return Rubric(text.strip(), float(least), float(most), bool(reference))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
