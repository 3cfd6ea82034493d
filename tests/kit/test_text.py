"""Sentences in two languages that never raise, and values as the language writes them."""

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from hub.kit import text

PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _own_strings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(text, "_strings", {"nl": {}, "en": {}})
    monkeypatch.setattr(text, "_registered", set())
    (tmp_path / "nl.yaml").write_text(
        'run.written: "{count} facturen geboekt voor {total} op {day}."\nonly.dutch: "Alleen Nederlands."\n'
    )
    (tmp_path / "en.yaml").write_text('run:\n  written: "{count} invoices booked for {total} on {day}."\n')
    text.register(tmp_path)


VALUES = {"count": 2, "total": Decimal("1452"), "day": date(2026, 3, 9)}


def test_amounts_and_dates_are_written_the_dutch_way() -> None:
    assert text.sentence("run.written", "nl", VALUES) == "2 facturen geboekt voor 1.452,00 op 9 maart 2026."


def test_amounts_and_dates_are_written_the_english_way() -> None:
    assert text.sentence("run.written", "en", VALUES) == "2 invoices booked for 1,452.00 on 9 March 2026."


def test_a_missing_value_shows_its_placeholder_and_is_logged() -> None:
    with capture_logs() as logs:
        assert "{day}" in text.sentence("run.written", "nl", {"count": 1, "total": Decimal(1)})
    assert [(entry["event"], entry["placeholder"]) for entry in logs] == [("text_value_missing", "day")]


def test_an_unknown_key_shows_itself_with_its_values_and_is_logged() -> None:
    with capture_logs() as logs:
        assert text.sentence("no.such", "nl", {"total": Decimal("0.5")}) == "no.such total=0,50"
    assert logs[0]["text_key"] == "no.such"


def test_a_key_without_a_translation_falls_back_to_the_other_language() -> None:
    assert text.sentence("only.dutch", "en", {}) == "Alleen Nederlands."
    assert text.sentence("only.dutch", "fr", {}) == "Alleen Nederlands."


def test_braces_in_a_value_are_not_placeholders() -> None:
    assert "{day}" in text.sentence("run.written", "nl", {**VALUES, "total": "{day}"})


def test_keys_and_gaps_can_be_listed(tmp_path: Path) -> None:
    assert text.known("run.written")
    assert not text.known("run")
    assert text.keys("run.") == ["run.written"]
    assert text.untranslated() == ["en: only.dutch"]


def test_another_placeholder_in_a_translation_is_a_gap(tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "nl.yaml").write_text('odd: "{one}"\n')
    (folder / "en.yaml").write_text('odd: "{two}"\n')
    text.register(folder)
    assert "nl: odd (other placeholders)" in text.untranslated()


def test_a_key_may_not_be_given_another_text(tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "nl.yaml").write_text('only.dutch: "Iets anders."\n')
    with pytest.raises(ValueError, match=r"only\.dutch"):
        text.register(folder)


@pytest.mark.parametrize(
    ("value", "dutch"),
    [
        (Decimal("-1234567.5"), "-1.234.567,50"),
        (Decimal("0.125"), "0,125"),
        (Decimal("1E+3"), "1.000,00"),
        (Decimal("0.00"), "0,00"),
        (2026, "2026"),
        (datetime(2026, 7, 1, 22, 5, tzinfo=UTC), "2 juli 2026 00:05"),
        (True, "ja"),
        (None, ""),
        (["8000", "8010", "8020"], "8000, 8010 en 8020"),
        ([], ""),
    ],
)
def test_values_are_written_in_dutch(value: object, dutch: str) -> None:
    assert text.written(value, "nl") == dutch


NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "dutch"),
    [
        (datetime(2026, 11, 27, 12, 6, tzinfo=UTC), "over 6 minuten"),
        (datetime(2026, 11, 27, 12, 1, tzinfo=UTC), "over 1 minuut"),
        (datetime(2026, 11, 27, 12, 0, 30, tzinfo=UTC), "binnen een minuut"),
        (datetime(2026, 11, 27, 11, 59, 30, tzinfo=UTC), "zojuist"),
        (datetime(2026, 11, 27, 9, 0, tzinfo=UTC), "3 uur geleden"),
        (datetime(2026, 11, 25, 11, 0, tzinfo=UTC), "2 dagen geleden"),
        (datetime(2026, 3, 9, 23, 30, tzinfo=UTC), "10 maart 2026"),
    ],
)
def test_moments_are_said_as_people_say_them(moment: datetime, dutch: str) -> None:
    text._registered.clear()
    text.register(Path(text.__file__).parent / "strings")
    assert text.relative(moment, NOW, "nl") == dutch


def test_money_carries_its_currency_and_sign() -> None:
    assert text.money(Decimal("1234.56"), "EUR", "nl") == "€\N{NO-BREAK SPACE}1.234,56"
    assert text.money(Decimal("-8"), "DKK", "en") == "-DKK\N{NO-BREAK SPACE}8.00"
    assert text.money(Decimal("8"), "", "nl") == "8,00"


def test_days_numbers_and_times_are_short_and_clear() -> None:
    assert text.short_day(date(2026, 3, 9), "nl") == "09-03-2026"
    assert text.short_day(date(2026, 3, 9), "en") == "9 Mar 2026"
    assert text.month(date(2026, 3, 1), "nl") == "maart 2026"
    assert text.short_month(date(2026, 3, 1), "nl") == "mrt 26"
    assert text.whole(12345, "nl") == "12.345"
    assert text.percentage(94.06, "nl") == "94,1%"
    assert text.percentage(100.0, "nl") == "100%"
    assert text.clock(datetime(2026, 7, 1, 22, 5, 8, tzinfo=UTC)) == "00:05:08"
    assert [text.lasted(one, "nl") for one in (0.84, 42, 200, 7500)] == ["0,8 s", "42 s", "3 min 20 s", "2 u 5 min"]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_no_sentence_stands_twice_in_a_file(language: str) -> None:
    """The later one would silently take the place of the earlier."""
    files = [path for part in ("hub", "connectors") for path in (PROJECT / part).rglob(f"strings/**/{language}.yaml")]
    twice = {
        str(path): names
        for path in files
        if (names := [name for name, count in Counter(map(str, _keys(path))).items() if count > 1])
    }
    assert len(files) > 10
    assert twice == {}


def _keys(path: Path) -> list[str]:
    """The keys of a file with those above them, as they are written."""
    found: list[str] = []

    def walk(node: yaml.Node | None, above: str) -> None:
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            found.append(f"{above}.{key.value}")
            walk(value, found[-1])

    walk(yaml.compose(path.read_text(encoding="utf-8")), "")
    return found
