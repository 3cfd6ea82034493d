"""Packages' spellings are read as values, and nonsense as nothing."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from hub.sdk import reading


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" a\x00b ", "ab"), (7, "7"), (Decimal("7.00"), "7"), (Decimal("1E+2"), "100"), (True, ""), (None, ""),
        ([], ""), ({"a": 1}, ""),
    ],
)  # fmt: skip
def test_text_is_trimmed_and_numbers_lose_their_zeros(value: object, expected: str) -> None:
    assert reading.text(value) == expected


def test_a_text_on_one_line() -> None:
    assert reading.line(" a\n\tb  c ") == "a b c"


@pytest.mark.parametrize(
    ("value", "default", "expected"),
    [(True, False, True), ("JA", False, True), (1, False, True), ("no", True, False), (0, True, False),
     ("perhaps", True, True), (None, False, False), (Decimal(1), False, True)],
)  # fmt: skip
def test_a_boolean_is_read_in_every_spelling(value: object, default: bool, expected: bool) -> None:
    assert reading.flag(value, default) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2026-03-31T00:00:00.000Z", date(2026, 3, 31)), ("2026-03-31", date(2026, 3, 31)), ("", None), (None, None),
     ("0000-00-00", None)],
)  # fmt: skip
def test_a_day_is_what_a_text_starts_with(value: object, expected: date | None) -> None:
    assert reading.day(value) == reading.perhaps_day(value) == expected


def test_nonsense_is_no_day() -> None:
    with pytest.raises(ValueError, match="Invalid isoformat"):
        reading.day("31-03-2026")
    assert reading.perhaps_day("31-03-2026") is None


@pytest.mark.parametrize(
    ("value", "exact", "whole"),
    [("12.50", Decimal("12.50"), None), (3, Decimal(3), 3), ("4.00", Decimal("4.00"), 4), (None, None, None),
     ("x", None, None), (True, None, None), (1.5, None, None)],
)  # fmt: skip
def test_amounts_are_exact_or_nothing(value: object, exact: Decimal | None, whole: int | None) -> None:
    assert (reading.amount(value), reading.whole(value)) == (exact, whole)


@pytest.mark.parametrize(
    ("words", "longest", "expected"),
    [("kort", 10, "kort"), ("een  twee\ndrie", 13, "een twee drie"), ("een twee drie vier", 14, "een twee drie"),
     ("Aaaaaaaaaaaaaaaaaaaaa", 10, "Aaaaaaaaaa"), ("Een langewoordenreeks", 10, "Een langew")],
)  # fmt: skip
def test_words_are_cut_at_the_end_of_one_where_that_costs_little(words: str, longest: int, expected: str) -> None:
    assert reading.cut(words, longest) == expected


@pytest.mark.parametrize(("found", "expected"), [([], {}), ([{"a": 1}], {"a": 1}), ([{"a": 1}, {"b": 2}], {})])
def test_a_single_record_is_told_from_several(found: list[Any], expected: dict[str, Any]) -> None:
    assert reading.only(found) == expected
    assert (reading.part({"a": 1}), reading.part([1])) == ({"a": 1}, {})


def test_a_field_is_found_whatever_the_case_of_its_name() -> None:
    record = {"Naam": " Jan  Smit ", "leeg": "", "ID": 7}
    assert (reading.value(record, "id"), reading.said(record, "name", "naam")) == (7, "Jan Smit")
    assert (reading.value(record, "leeg", "id"), reading.value([], "id"), reading.said(record, "x")) == (7, None, "")
