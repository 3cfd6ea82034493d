"""SOAP to the letter: headers, namespaces and the order of things; and every fault with the sentence that helps."""

from typing import Any

import pytest
from lxml import etree
from starlette.requests import Request
from starlette.responses import Response

from connectors.nmbrs import account, soap
from connectors.nmbrs.sandbox import OWNER, NmbrsSandbox
from connectors.nmbrs.transport import Asked
from hub.engine import registry
from hub.kit.text import sentence
from hub.runs import sentences
from hub.sdk.errors import ConfigError, ReauthRequired, RecordRejected, TransientError, VendorError
from tests.connectors.nmbrs.conftest import Connect

COMPANY = "https://api.nmbrs.nl/soap/v3/CompanyService"
DEBTOR = "https://api.nmbrs.nl/soap/v3/DebtorService"
BARE = {"email": OWNER}


@pytest.fixture
def heard(box: NmbrsSandbox) -> list[tuple[dict[str, str], etree._Element]]:
    """What was sent: headers and envelope of each call."""
    found: list[tuple[dict[str, str], etree._Element]] = []
    plain = box._soap

    async def listening(request: Request) -> Response:
        found.append((dict(request.headers), etree.fromstring(await request.body())))
        return await plain(request)

    next(route for route in box.app.routes if getattr(route, "path", "") == "/soap/v3/{service}.asmx").app = _app(
        listening
    )  # type: ignore[attr-defined]
    return found


def _app(handler: Any) -> Any:
    from starlette.routing import request_response

    return request_response(handler)


def told(root: etree._Element, space: str) -> list[tuple[str, str]]:
    """Names and texts of a header or body, all in one namespace, in order."""
    assert all(etree.QName(one).namespace == space for one in root.iter())
    return [(etree.QName(one).localname, one.text or "") for one in root.iter()]


async def test_an_envelope_is_what_the_vendor_s_schema_says(connect: Connect, heard: Any) -> None:
    async with connect("key", fields=BARE) as http:
        await soap.runs(http, "50211", 2026)

    (first_headers, first), (headers, second) = heard
    soap11 = "{http://schemas.xmlsoap.org/soap/envelope/}"
    assert first.tag == second.tag == f"{soap11}Envelope"
    assert told(first.find(f"{soap11}Header")[0], DEBTOR) == [
        ("AuthHeader", ""), ("Username", OWNER), ("Token", "SIM-TOKEN-1"),
    ]  # fmt: skip
    assert told(second.find(f"{soap11}Header")[0], COMPANY) == [
        ("AuthHeaderWithDomain", ""), ("Username", OWNER), ("Token", "SIM-TOKEN-1"), ("Domain", "vandermeulen"),
    ]  # fmt: skip
    assert told(second.find(f"{soap11}Body")[0], COMPANY) == [
        ("Run_GetList", ""), ("CompanyId", "50211"), ("Year", "2026"),
    ]  # fmt: skip
    assert first_headers["soapaction"] == f'"{DEBTOR}/Environment_Get"'
    assert headers["soapaction"] == f'"{COMPANY}/Run_GetList"'
    assert headers["content-type"] == "text/xml; charset=utf-8"


async def test_journals_are_asked_for_with_their_year(connect: Connect, heard: Any, box: NmbrsSandbox) -> None:
    run = next(one for one in box.books["runs"].values() if one["year"] == 2025)
    async with connect("key") as http:
        (found,) = (await soap.runs(http, run["company"], 2025)).runs[:1]
        contents = [
            one
            async for one in soap.contents(http, run["company"], [Asked(found, "company"), Asked(found, "cost_centre")])
        ]

    bodies = [told(root[1][0], COMPANY) for _, root in heard[-2:]]
    parameters = [("CompanyId", run["company"]), ("RunId", run["id"]), ("intYear", "2025")]
    assert bodies == [
        [("Journals_GetByRunCompany_v2", ""), *parameters],
        [("Journals_GetByRunCostCenter_v2", ""), *parameters],
    ]
    assert all(one.xml.startswith("<transactions>") for one in contents)


async def test_signs_that_mean_something_in_xml_are_escaped_once(connect: Connect, box: NmbrsSandbox) -> None:
    token = "a<b>&c\"'d"
    box.books["users"][OWNER]["token"] = token
    run = next(iter(box.books["runs"].values()))
    run["transactions"][0]["lines"][0]["description"] = "Lonen & <premies>"
    async with connect("key", fields=BARE, credentials=_fixed(token)) as http:
        found = await soap.runs(http, run["company"], run["year"])
        (content,) = [one async for one in soap.contents(http, run["company"], [Asked(found.runs[0], "company")])]

    assert "<description>Lonen &amp; &lt;premies&gt;</description>" in content.xml


def _fixed(token: str) -> Any:
    from tests.connectors.support import FixedCredentials

    return FixedCredentials({"api_token": token})


FAULTS: dict[str, tuple[type[VendorError], str, str]] = {
    "1001": (ReauthRequired, "wrong_token", "API-token"),
    "1002": (ConfigError, "call_off", "CompanyService.List_GetAll"),
    "1003": (ConfigError, "no_rights", "filters"),
    "1004": (ConfigError, "environment_disabled", "abonnement"),
    "2004": (ConfigError, "no_rights", "code 2004"),
    "2009": (ConfigError, "no_rights", "debiteur"),
    "2042": (ConfigError, "several_environments", "domein"),
    "2043": (ConfigError, "domain_unknown", "domein"),
    "2046": (RecordRejected, "refused", "2046"),
    "9999": (TransientError, "failed", "opnieuw"),
}


@pytest.mark.parametrize("code", FAULTS)
@pytest.mark.parametrize("status", [500, 200, 400])
async def test_each_fault_says_what_to_do(connect: Connect, box: NmbrsSandbox, code: str, status: int) -> None:
    kind, key, word = FAULTS[code]
    registry.get("nmbrs")  # Its sentences come with it.
    box.switches |= {"soap_faults": {"List_GetAll": code}, "status_of_faults": status}
    async with connect("key") as http:
        with pytest.raises(kind) as refused:
            await account.companies(http, {})

    shown = sentences.finding(refused.value.finding(), "nl")
    assert (shown.key, word in shown.sentence, code in (shown.words or "")) == (f"nmbrs.{key}", True, True)
    assert "{" not in shown.sentence + sentence(f"nmbrs.{key}", "en", shown.values)


SHAPES = {
    "1.2": (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code><s:Value>s:Receiver'
        '</s:Value></s:Code><s:Reason><s:Text xml:lang="en">Server was unable to process request. ---&gt; 1002: '
        "Unauthorized access</s:Text></s:Reason><s:Detail/></s:Fault></s:Body></s:Envelope>"
    ),
    "1.1": (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Server</faultcode>'
        "<faultstring>System.Web.Services.Protocols.SoapException: Server was unable to process request. ---&gt; "
        "System.Exception: 1002: Unauthorized access</faultstring><detail/></s:Fault></s:Body></s:Envelope>"
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_faults_of_both_versions_are_read(shape: str) -> None:
    found = soap._judged(500, shape.encode(), "CompanyService.List_GetAll")
    assert found is not None
    assert (found.kind, found.key) == ("config", "nmbrs.call_off")


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"<html><body>502</body></html>", b"<!DOCTYPE html><p>Storing", b'{"data": [', b"\xff\xfe\x00",
        b'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><s>&x;</s>',
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>', b"<other/>",
    ],
)  # fmt: skip
def test_an_answer_that_is_no_envelope_is_a_reason_to_come_back(answer: bytes) -> None:
    found = soap._judged(200, answer, "x")
    assert found is not None
    assert (found.kind, found.key) == ("transient", "nmbrs.no_envelope")
    assert soap._judged(503, answer, "x") is None, "then the status decides"


async def test_a_gateway_that_is_down_is_a_reason_to_come_back(connect: Connect, box: NmbrsSandbox) -> None:
    box.switches["soap_html"] = True
    async with connect("key") as http:
        with pytest.raises(TransientError):
            await account.identify(http)


async def test_the_domain_is_looked_up_typed_or_known(connect: Connect, box: NmbrsSandbox) -> None:
    for fields in (BARE, BARE | {"domain": "vandermeulen"}, BARE | {"tenant": "vandermeulen"}):
        async with connect("key", fields=fields) as http:
            assert (await account.identify(http)).tenant == "vandermeulen"
    async with connect("key", fields=BARE | {"domain": "anders"}) as http:
        with pytest.raises(ConfigError) as refused:
            await account.identify(http)
    assert (refused.value.key, refused.value.field) == ("nmbrs.domain_unknown", "domain")


async def test_a_look_up_that_is_switched_off_asks_for_the_domain_or_the_call(
    connect: Connect, box: NmbrsSandbox
) -> None:
    box.books["users"][OWNER]["off"] = ["Environment_Get"]
    async with connect("key", fields=BARE) as http:
        with pytest.raises(ConfigError) as refused:
            await account.identify(http)
    assert refused.value.values["call"] == "DebtorService.Environment_Get"
    async with connect("key", fields=BARE | {"tenant": "vandermeulen"}) as http:
        assert (await account.identify(http)).tenant == "vandermeulen"


@pytest.mark.parametrize(("switch", "value"), [("empty_list", "missing"), ("nil", True), ("status_of_faults", 200)])
async def test_lists_read_the_same_in_every_plausible_form(
    connect: Connect, box: NmbrsSandbox, switch: str, value: Any
) -> None:
    box.switches[switch] = value
    async with connect("key") as http:
        assert [one.value for one in await account.companies(http, {})] == ["1", "2", "3", "4"]
        company = next(iter(box.books["companies"]))
        assert len((await soap.runs(http, company, 2026)).runs) == 5
        assert (await soap.runs(http, company, 1999)).runs == []


async def test_a_list_of_one_is_a_list(connect: Connect, box: NmbrsSandbox) -> None:
    for own in list(box.books["companies"])[1:]:
        del box.books["companies"][own]
    async with connect("key") as http:
        assert [one.label for one in await account.companies(http, {})] == ["1 · Bakkerij Van der Meulen B.V."]


async def test_cost_centres_are_listed_with_their_words(connect: Connect) -> None:
    for way in ("key", "oauth"):
        async with connect(way) as http:
            found = await account.cost_centres(http, {"administrations": {"1": "x"}})
        assert [(one.value, one.label) for one in found] == [("010", "010 · Winkel"), ("020", "020 · Magazijn")]


async def test_how_a_company_pays_is_known_over_both(connect: Connect, box: NmbrsSandbox) -> None:
    for way in ("key", "oauth"):
        async with connect(way) as http:
            api = account.transport(http)
            found = [await api.kind(http, one.id) for one in await api.companies(http)]
        assert found == ["month", "4-weeks", "week", "month"]


async def test_no_secret_is_in_the_evidence(connect: Connect, box: NmbrsSandbox) -> None:
    box.switches["soap_faults"] = {"List_GetAll": "2046"}
    async with connect("key") as http:
        with pytest.raises(RecordRejected) as refused:
            await account.companies(http, {})
    assert "SIM-TOKEN-1" not in repr(refused.value.exchange)
