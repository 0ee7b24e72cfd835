"""Which language a text is in, by py3langid: 142 languages, 4 MB, no model to fetch."""

from collections.abc import Callable
from typing import Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.prepare import PrepareSettings

READ = 1000  # characters, which are enough; more only take longer

Detector = Callable[[str], tuple[str, float]]


def check_language(prepare: PrepareSettings) -> None:
    """Refuse a language that is not known.

    Raises:
        PersynError: names it.
    """
    if not prepare.language.keep:
        return
    known = sorted(set(_identifier().nb_classes))
    for language in prepare.language.keep:
        if language not in known:
            raise PersynError(
                f"Parameter prepare.language.keep: unknown language {language!r}; known: "
                f"{', '.join(known)}."
            )


def detector() -> Detector:
    """Return a function from a text to its likeliest language and that one's probability."""
    identify = _identifier()

    def detect(text: str) -> tuple[str, float]:
        language, probability = identify.classify(text[:READ])
        return str(language), float(probability)

    return detect


def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
