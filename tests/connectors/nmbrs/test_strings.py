"""Every sentence that the connector can say exists in both languages."""

import re
from pathlib import Path

import pytest
import yaml

from connectors.nmbrs import CONNECTOR

FOLDER = Path(__file__).parents[3] / "connectors" / "nmbrs"


@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_key_in_the_code_has_a_sentence(language: str) -> None:
    sentences = yaml.safe_load((FOLDER / "strings" / f"{language}.yaml").read_text())
    said = {key for path in FOLDER.glob("*.py") for key in re.findall(r'"(nmbrs\.[a-z_]+)"', path.read_text())}
    built = (re.findall(r'_finding\(\s*"([a-z_]+)"', path.read_text()) for path in FOLDER.glob("*.py"))
    found = {f"nmbrs.{key}" for keys in built for key in keys} | {"nmbrs.journal_unavailable"}
    fields = {f"settings.nmbrs.{name}" for name in CONNECTOR.settings.model_fields}
    assert (said | found | fields) - set(sentences) == set()
    assert {key for key in sentences if key.startswith("nmbrs.")} - said - found == set()
