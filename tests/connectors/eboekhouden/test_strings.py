"""Every sentence that the connector can say exists in both languages."""

import re
from pathlib import Path

import pytest
import yaml

from connectors.eboekhouden import CONNECTOR

FOLDER = Path(__file__).parents[3] / "connectors" / "eboekhouden"


@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_key_in_the_code_has_a_sentence(language: str) -> None:
    sentences = yaml.safe_load((FOLDER / "strings" / f"{language}.yaml").read_text())
    said = {key for path in FOLDER.glob("*.py") for key in re.findall(r'"(eboekhouden\.[a-z_]+)"', path.read_text())}
    fields = {f"settings.eboekhouden.{name}" for name in CONNECTOR.settings.model_fields}
    assert (said | fields) - set(sentences) == set()
    assert {key for key in sentences if key.startswith("eboekhouden.")} - said == set()
