"""One spelling for what LaTeX, Markdown and Unicode write in several ways."""

import re

_SIGNS = {
    "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "÷": "/", "≤": r"\le ", "≥": r"\ge ",
    "≠": r"\neq ", "π": r"\pi ", "∞": r"\infty ", "∪": r"\cup ", "∈": r"\in ", "°": r"^\circ",
    "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
    "±": r"\pm ", "∅": r"\emptyset ", "…": r"\ldots ", "’": "'", "“": '"', "”": '"',
    "√(": r"\sqrt(", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
}  # fmt: skip
_SPELLINGS = [
    (r"\\(?:text|mathrm|textbf|mathbf|textit|textrm|mbox|operatorname)\s*\{([^{}]*)\}", r"\1"),
    (r"√\s*(\d+)", r"\\sqrt{\1}"),
    (r"(?<!\d )\b(?:[Nn]egative|[Mm]inus)\s+(?=\$?\d)", "-"),
    (r"\\(?:left|right|displaystyle|bigl?|bigr?|Bigl?|Bigr?)(?![A-Za-z])", ""),
    (r"\\[()\[\]]|\\\$(?!\d)|(?<!\\)\$(?!\d)|__|(?<!\w)`|`(?!\w)", ""),
    (r"\\\$|\$(?=\d)", "$"),
    (r"\\([dtc])frac(?![A-Za-z])", r"\\frac"),
    (r"\\frac\s*(\d)\s*(\d)(?!\d)", r"\\frac{\1}{\2}"),
    (r"\\frac\s*\{([^{}]*)\}\s*(\d)", r"\\frac{\1}{\2}"),
    (r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{"),
    (r"\\sqrt\s*(\d)", r"\\sqrt{\1}"),
    (r"(?<![\\A-Za-z])sqrt(?=\s*[({])", r"\\sqrt"),
    (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
    (r"\\leq(?![A-Za-z])", r"\\le"),
    (r"\\geq(?![A-Za-z])", r"\\ge"),
    (r"\\ne(?![A-Za-z])", r"\\neq"),
    (r"\\(?:approx|simeq)(?![A-Za-z])", "≈"),
    (r"^\s*(?:=>?|->|⇒|→|≈|\\(?:implies|Rightarrow|rightarrow|to)(?![A-Za-z]))\s*", ""),
    (r"(^\s*|\\in\s*)\\mathbb\s*\{?R\}?(?=[\s.]*$)", r"\1(-\\infty,\\infty)"),
    (r"\\(?:varnothing|emptyset)(?![A-Za-z])", r"\\emptyset"),
    (r"\\(?:dots|cdots|dotsc)(?![A-Za-z])|\.\.\.", r"\\ldots"),
    (r"\{\s*([,.])\s*\}", r"\1"),
    (r"\\degree(?![A-Za-z])|\^\s*\{\s*\\circ\s*\}", r"^\\circ"),
    (r"\\%", "%"),
    (r"(?<=\d,)\\!(?=\d{3})|(?<=\d)\\[,!](?=\d)", ""),
    (r"\\q?quad\s*(?=[A-Za-z]\w*\s*=)", ", "),
    (r"(?<!\\)\\[,!;: ]|\\q?quad(?![A-Za-z])|~", " "),
    (r"\+\s*\\infty", r"\\infty"),
]
_RULES = [(re.compile(pattern), new) for pattern, new in _SPELLINGS]
_BOLD = re.compile(r"(?<![\w)\]}])\*\*(?=\S)|(?<=\S)\*\*(?![\w({\\-])")
_BOLD_SPAN = re.compile(r"(?<![\w)\]}])\*\*(?=\S)(.+?)(?<=\S)\*\*(?![\w({\\*-])")
_LOOSE_BOLD = re.compile(
    r"(?<![\w)\]}])(?<![\d)\]}] )(?<!\b[A-Za-z] )\*\*\s+([^*]+?)\s*\*\*(?=\W*$)"
)
_OPERAND = re.compile(r"[\w)\]}]\Z")
_PYTHON_POWERS = [
    (re.compile(r"\s*\*\*\s*\(((?:(?![A-Za-z]{2})[^()])*)\)"), r"^{\1}"),
    (re.compile(r"\s*\*\*\s*(-?(?:\d+(?:\.\d+)?|[A-Za-z](?![A-Za-z])))"), r"^{\1}"),
    (re.compile(r"\*\*"), ""),
]
_BASES = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_EDGES = " \t\n.,;:!?\"'"


def clean(text: str) -> str:
    r"""Return ``text`` in one spelling, without wrappers (``\text``, dollars, bold, ``\left``).

    A dollar sign stays if a digit follows: it may mean money.
    """
    for sign, new in _SIGNS.items():
        text = text.replace(sign, new)
    text = without_bold(text)
    for pattern, new in _PYTHON_POWERS:
        text = pattern.sub(new, text)
    text = re.sub("[₀-₉]+", lambda base: "_" + base[0].translate(_BASES), text)
    text = re.sub("[⁰¹²³⁴-⁹⁻⁺]+", lambda power: _power(power[0].translate(_POWERS)), text)
    for pattern, new in _RULES:
        text = pattern.sub(new, text)
    text = re.sub(r"\s+", " ", text).strip()
    text = "0" + text if re.match(r"\.\d", text) else text
    bare = text.strip(_EDGES)
    factorial = re.search(r"[\d)}]\s*!$", text.rstrip(_EDGES.replace("!", "")))
    return bare + "!" if factorial else bare


def without_bold(text: str) -> str:
    """Return ``text`` without Markdown's ``**``; Python's power, between operands, stays."""
    return "\n".join(map(_line_without_bold, text.split("\n")))


def _line_without_bold(line: str) -> str:
    parts = line.split("**")
    opened, rest = parts[0:-1:2], parts[1::2]
    if len(parts) % 2 and not any(
        _OPERAND.search(before) or not after or after[0].isspace()
        for before, after in zip(opened, rest, strict=True)
    ):
        return "".join(parts)  # pairs, none of which begins as a power does: **3**x, **5**-**7**
    return _BOLD.sub("", _BOLD_SPAN.sub(r"\1", _LOOSE_BOLD.sub(r"\1", line)))


def _power(digits: str) -> str:
    return f"^{digits}" if len(digits) == 1 else f"^{{{digits}}}"


def closed(text: str) -> str:
    """Return ``text`` without spaces that separate nothing: those not between words or numbers."""
    return re.sub(r"(?<!\w) | (?!\w)", "", text)


def words(text: str) -> str:
    """Return ``text`` as words to compare: without capitals, edges, or doubled spaces."""
    return " ".join(text.casefold().strip(_EDGES + "()").split())


def split_list(text: str) -> list[str]:
    r"""Split at commas, semicolons, ``and`` and ``or`` outside brackets."""
    depth, start, parts = 0, 0, []
    for match in _LIST.finditer(text):
        sign = match[0]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth = max(0, depth - 1)
        elif not depth:
            parts.append(text[start : match.start()])
            start = match.end()
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


_LIST = re.compile(r"[(\[{)\]}]|[,;](?:\s*(?:and|or)\b)?|(?<![\\\w])(?:and|or)\b")
