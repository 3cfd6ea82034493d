"""Every code of the dossier has a verdict, and every sentence exists."""

import re
from pathlib import Path

import pytest
import yaml

from connectors.eaccounting.company import identify
from connectors.eaccounting.refusal import VERDICTS, refusal
from connectors.eaccounting.sandbox import EaccountingSandbox
from hub.sdk.errors import ConfigError, ReauthRequired, RecordRejected, TransientError
from hub.sdk.http import Answer, Http

FOLDER = Path(__file__).parents[3] / "connectors" / "eaccounting"
CODES = (2000, 3000, 3001, 3002, 3003, 4000, 4001, 4002, 4003, 4004, 4005, 4006, 4010, 4026, 4028, 4029, 4032, 4033,
         4034, 9000)  # fmt: skip
KINDS = {"rejected": RecordRejected, "config": ConfigError, "reauth": ReauthRequired, "transient": TransientError}


def body(code: object, words: str = "No.") -> dict[str, object]:
    return {"ErrorCode": code, "DeveloperErrorMessage": words, "ErrorId": "0c6c1a0f"}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("spelt", [int, str])
def test_every_code_has_a_verdict_whatever_its_status(code: int, spelt: type) -> None:
    said = {refusal(Answer(status, body(spelt(code)), True)) for status in (400, 404, 409)}

    [found] = said
    assert found is not None
    assert found.key == VERDICTS[code].key
    assert str(code) in found.words
    assert "0c6c1a0f" in found.words


@pytest.mark.parametrize("code", CODES)
async def test_the_engine_hears_what_happens_next(http: Http, box: EaccountingSandbox, code: int) -> None:
    box.switches["status_on"] = {"companysettings": [code, "No."]}

    with pytest.raises(KINDS[VERDICTS[code].kind]):
        await identify(http)


def test_names_are_read_without_case() -> None:
    said = refusal(Answer(400, {"errorCode": 4026, "developerErrorMessage": "Locked."}, True))
    assert said is not None
    assert (said.key, said.words) == ("eaccounting.period_locked", "Locked. (4026)")


def test_an_unknown_code_is_a_refusal_of_this_record() -> None:
    found = refusal(Answer(400, body(4077), True))

    assert found is not None
    assert (found.kind, found.key) == ("rejected", "eaccounting.refused")


@pytest.mark.parametrize(("status", "words", "key"), [
    (403, "No.", "module_missing"), (400, "No access to module", "module_missing"),
    (400, "Cannot be updated", "not_possible"),
])  # fmt: skip
def test_code_4002_means_two_things(status: int, words: str, key: str) -> None:
    found = refusal(Answer(status, body(4002, words), True))

    assert found is not None
    assert found.key == f"eaccounting.{key}"


def test_the_seconds_of_a_quota_are_read_from_its_sentence() -> None:
    found = refusal(Answer(400, body(4010, "quota exceeded! Try again in 12 seconds."), True))

    assert found is not None
    assert (found.kind, found.retry_after) == ("transient", 12)


def test_a_success_and_a_bare_401_are_no_refusals() -> None:
    assert refusal(Answer(200, body(2000), True)) is None
    assert refusal(Answer(401, {"message": "Unauthorized"}, True)) is None


@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_sentence_is_said_somewhere_and_every_key_has_one(language: str) -> None:
    sentences = yaml.safe_load((FOLDER / "strings" / f"{language}.yaml").read_text())
    code = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    said = set(re.findall(r'"(eaccounting\.[a-z_]+)"', code)) | {one.key for one in VERDICTS.values()}
    said |= {"eaccounting.postal_code_missing", "eaccounting.city_missing"}

    assert {key for key in sentences if key.startswith("eaccounting.")} == said
