"""Sentences for people, in Dutch and English, from translation files."""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
import yaml

from hub.kit.clock import AMSTERDAM

LANGUAGES = ("nl", "en")

_log = structlog.get_logger(__name__)
_strings: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
_registered: set[Path] = set()
_PLACEHOLDER = re.compile(r"\{(\w+)\}")

_MONTHS = {
    "nl": [
        "januari",
        "februari",
        "maart",
        "april",
        "mei",
        "juni",
        "juli",
        "augustus",
        "september",
        "oktober",
        "november",
        "december",
    ],
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
}
_WORDS = {"nl": {"and": "en", "yes": "ja", "no": "nee"}, "en": {"and": "and", "yes": "yes", "no": "no"}}


def register(directory: Path) -> None:
    """Add the sentences of `nl.yaml` and `en.yaml` in a folder; a key that is already there with another text raises.

    Keys are dotted (`run.written`); a nested mapping is read as dotted keys. Registering a folder twice does nothing.
    """
    directory = directory.resolve()
    if directory in _registered:
        return
    for language in LANGUAGES:
        path = directory / f"{language}.yaml"
        if not path.exists():
            continue
        for key, sentence_text in _flat(yaml.safe_load(path.read_text(encoding="utf-8")) or {}):
            present = _strings[language].setdefault(key, sentence_text)
            if present != sentence_text:
                raise ValueError(f"{path}: {key} already has another text")
    _registered.add(directory)


def sentence(key: str, language: str, values: Mapping[str, object] | None = None) -> str:
    """Give the sentence of a key with its values filled in; never raises.

    A language without the key falls back to the other one, an unknown key is shown as it is, and a placeholder
    without a value shows its name: each is logged. Amounts (Decimal) and dates are written as the language does,
    whole numbers as they are (they may be years or numbers of documents).
    """
    values = values or {}
    language = language if language in LANGUAGES else LANGUAGES[0]
    template = _strings[language].get(key)
    if template is None:
        _log.warning("text_missing", text_key=key, language=language)
        template = next((_strings[other][key] for other in LANGUAGES if key in _strings[other]), None)
    if template is None:
        return " ".join([key, *(f"{name}={written(value, language)}" for name, value in values.items())])

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            _log.warning("text_value_missing", text_key=key, placeholder=name)
            return match.group(0)
        return written(values[name], language)

    return _PLACEHOLDER.sub(fill, template)


def known(key: str) -> bool:
    """Say whether any language has the key."""
    return any(key in strings for strings in _strings.values())


def keys(prefix: str = "") -> list[str]:
    """List the known keys that start with a prefix, sorted."""
    return sorted({key for strings in _strings.values() for key in strings if key.startswith(prefix)})


def untranslated() -> list[str]:
    """List `language: key` for each key that one language has and another lacks, or whose placeholders differ."""
    missing = []
    for key in keys():
        placeholders = {
            frozenset(_PLACEHOLDER.findall(strings[key])) for strings in _strings.values() if key in strings
        }
        for language, strings in _strings.items():
            if key not in strings:
                missing.append(f"{language}: {key}")
            elif len(placeholders) > 1:
                missing.append(f"{language}: {key} (other placeholders)")
    return missing


def written(value: object, language: str) -> str:
    """Write one value as the language does: `1.452,00`, `9 maart 2026`, `ja`, `a, b en c`."""
    words = _WORDS.get(language, _WORDS["nl"])
    match value:
        case None:
            return ""
        case bool():
            return words["yes"] if value else words["no"]
        case Decimal():
            return amount(value, language)
        case float():
            return amount(Decimal(repr(value)), language)
        case datetime():
            local = value.astimezone(AMSTERDAM) if value.tzinfo else value
            return f"{_day(local, language)} {local:%H:%M}"
        case date():
            return _day(value, language)
        case str():
            return value
        case list() | tuple() | set() | frozenset():
            return _enumeration([written(item, language) for item in value], words["and"])
        case _:
            return str(value)


def amount(value: Decimal, language: str) -> str:
    """Write an amount with at least two decimals: nl `1.452,00`, en `1,452.00`."""
    if not value.is_finite():
        return str(value)
    exponent = value.normalize().as_tuple().exponent
    decimals = max(2, -exponent if isinstance(exponent, int) else 0)
    english = f"{value:,.{decimals}f}"
    return english.translate(str.maketrans(",.", ".,")) if language == "nl" else english


def whole(value: int, language: str) -> str:
    """Write a number of things: nl `12.345`, en `12,345`."""
    english = f"{value:,}"
    return english.replace(",", ".") if language == "nl" else english


def money(value: Decimal, currency: str, language: str) -> str:
    """Write an amount of money: `€ 1.234,56`, `-€ 12,00`, `DKK 8,00`; without a currency the amount alone."""
    sign = "-" if value < 0 else ""
    unit = "€" if currency == "EUR" else currency
    return f"{sign}{unit}\N{NO-BREAK SPACE}{amount(abs(value), language)}" if unit else amount(value, language)


def percentage(value: float, language: str) -> str:
    """Write a share of a hundred: nl `94,1%`, en `94.1%`."""
    return f"{value:.1f}".removesuffix(".0").replace(".", "," if language == "nl" else ".") + "%"


def clock(value: datetime) -> str:
    """Write the time of day, Europe/Amsterdam: `18:05:48`."""
    return f"{value.astimezone(AMSTERDAM):%H:%M:%S}"


def short_day(value: date, language: str) -> str:
    """Write a day in figures: nl `27-11-2026`, en `27 Nov 2026`, which no reader takes for another day."""
    if language == "nl":
        return f"{value:%d-%m-%Y}"
    return f"{value.day} {_SHORT['en'].split()[value.month - 1]} {value.year}"


def month(value: date, language: str) -> str:
    """Write a month: `november 2026`."""
    return f"{_MONTHS.get(language, _MONTHS['nl'])[value.month - 1]} {value.year}"


_SHORT = {
    "nl": "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "en": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
}


def short_month(value: date, language: str) -> str:
    """Write a month in little room: `mrt 26`."""
    return f"{_SHORT.get(language, _SHORT['nl']).split()[value.month - 1]} {value:%y}"


_UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"))
_LONG_AGO = 14 * 86400


def relative(moment: datetime, now: datetime, language: str) -> str:
    """Write a moment as seen from now: `over 6 minuten`, `3 uur geleden`, `zojuist`; further off by its day."""
    seconds = round((moment - now).total_seconds())
    if abs(seconds) >= _LONG_AGO:
        return _day(moment.astimezone(AMSTERDAM), language)
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            count = abs(seconds) // size
            which = f"time.{'in' if seconds > 0 else 'ago'}.{unit}{'' if count != 1 else '.one'}"
            return sentence(which, language, {"count": count})
    return sentence("time.soon" if seconds > 0 else "time.just_now", language)


def lasted(seconds: float, language: str) -> str:
    """Write how long something took: `0,8 s`, `42 s`, `3 min 20 s`, `2 u 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".", "," if language == "nl" else ".")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} {'u' if language == 'nl' else 'h'} {minutes % 60} min"


def _day(value: date, language: str) -> str:
    months = _MONTHS.get(language, _MONTHS["nl"])
    return f"{value.day} {months[value.month - 1]} {value.year}"


def _enumeration(items: list[str], last: str) -> str:
    return f"{', '.join(items[:-1])} {last} {items[-1]}" if len(items) > 1 else "".join(items)


def _flat(node: Any, prefix: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, str(node)


register(Path(__file__).parent / "strings")
