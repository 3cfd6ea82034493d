"""Every text of the pages stands in the translation files, in both languages."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import hub.app  # noqa: F401 - registers every text
from hub.kit import text
from hub.organisations.html import TEMPLATES

TEMPLATE_FILES = sorted(TEMPLATES.glob("*.html"))
PAGES = sorted((TEMPLATES.parent / "pages").glob("*.py"))
NAMES = {"", "–", "·", "→", "/", ":", ": ", "?", ",", ";", "(", ")", "hub_"}
"""What stands between texts and means the same in every language."""
FOR_MACHINES = ("_described", "remedy", "fix_place")
"""Macros that give no text but a part of a tag, a key or an address."""
SPOKEN = ("alt", "aria-label", "placeholder", "title")
KEYS = text.keys()
FIRST_WORDS = sorted({key.partition(".")[0] for key in KEYS})
KEY = re.compile(rf'"((?:{"|".join(FIRST_WORDS)})(?:\.[a-z0-9_]+)+\.?)"')


class Literal(HTMLParser):
    """Collects what a reader would see or hear of a template's own words."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        self.said.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Text in attributes."""
        self.said += [value or "" for name, value in attrs if name in SPOKEN]


def literal(template: str) -> list[str]:
    """The words of a template that come from no translation file."""
    bare = re.sub(r"\{% block main_attributes %\}.*?\{% endblock %\}", "", template)
    bare = re.sub(rf"\{{% macro ({'|'.join(FOR_MACHINES)})\(.*?\{{% endmacro %\}}", "", bare, flags=re.DOTALL)
    bare = re.sub(r"\{#.*?#\}|\{%.*?%\}", "", bare, flags=re.DOTALL)
    # A mark, so that what stands around an expression is not taken for one text.
    bare = re.sub(r"\{\{.*?\}\}", "\u0001", bare, flags=re.DOTALL)
    reader = Literal()
    reader.feed(bare)
    pieces = [piece.strip() for said in reader.said for piece in said.split("\u0001")]
    return [piece for piece in pieces if piece not in NAMES and any(sign.isalpha() for sign in piece)]


def keys_in(source: str) -> list[str]:
    """The keys that are named in a source; one that ends with a dot or a dash is the beginning of several."""
    found = KEY.findall(re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL))
    return [key for key in found if not key.endswith((".html", ".css", ".js", ".svg"))]


def test_every_text_stands_in_both_languages_with_the_same_values() -> None:
    assert text.untranslated() == []


def test_no_key_was_taken_for_a_truth_by_yaml() -> None:
    """`yes:` and `no:` are no words to YAML."""
    assert [key for key in KEYS if re.search(r"(^|\.)(True|False|None)(\.|$)", key)] == []


@pytest.mark.parametrize("path", TEMPLATE_FILES, ids=lambda path: path.name)
def test_a_template_says_nothing_by_itself(path: Path) -> None:
    assert literal(path.read_text()) == []


@pytest.mark.parametrize("path", [*TEMPLATE_FILES, *PAGES], ids=lambda path: path.name)
def test_every_key_that_is_named_exists(path: Path) -> None:
    missing = [
        key
        for key in keys_in(path.read_text())
        if not (any(one.startswith(key) for one in KEYS) if key.endswith((".", "_")) else text.known(key))
    ]
    assert missing == []


def test_the_search_for_literal_words_finds_them() -> None:
    assert literal("<p>{{ t('a') }} Opslaan</p>") == ["Opslaan"]
    assert literal("<input placeholder='Naam' value='x'>") == ["Naam"]
    assert keys_in('t("web.title") ~ t("web.menu." ~ one)') == ["web.title", "web.menu."]


@pytest.mark.parametrize("path", TEMPLATE_FILES, ids=lambda path: path.name)
def test_no_template_needs_an_exception_of_the_policy(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"\sstyle\s*=|\son[a-z]+\s*=|<style|javascript:|hx-on|hx-vals=.js:", source)
    assert not re.search(r"<script(?![^>]*\bsrc=)", source)
    assert not re.search(r"(?:src|href|action)=[\"']?(?:https?:)?//", source)
