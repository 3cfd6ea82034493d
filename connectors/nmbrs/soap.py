"""Nmbrs over SOAP v3: our own envelopes, and the business code inside a fault told apart (dossier 2.1, 3, 4)."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from weakref import WeakKeyDictionary

from lxml import etree

from connectors.nmbrs import markup
from connectors.nmbrs.transport import Asked, Company, Content, Run, Runs, Split, Transport, number, period_kind
from hub.sdk.errors import ConfigError, RecordRejected, TransientError
from hub.sdk.http import Http, Kind, Refusal

NAMESPACE = "https://api.nmbrs.nl/soap/v3/"
"""Also where the service itself is elsewhere, as in the vendor's sandbox (2.1)."""
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
JOURNALS: Mapping[Split, str] = {
    "company": "Journals_GetByRunCompany_v2",
    "cost_centre": "Journals_GetByRunCostCenter_v2",
}
"""Always `_v2`, with the year: without it a company's active year is meant, the wrong one after the year roll (9)."""
FAULTS: Mapping[str, tuple[Kind, str, str | None]] = {
    **dict.fromkeys(("1001", "1006"), ("reauth", "nmbrs.wrong_token", None)),
    "1002": ("config", "nmbrs.call_off", None),
    **dict.fromkeys(("1003", "2003", "2004", "2009"), ("config", "nmbrs.no_rights", "administrations")),
    **dict.fromkeys(("1004", "2013"), ("config", "nmbrs.environment_disabled", None)),
    "2042": ("config", "nmbrs.several_environments", "domain"),
    "2043": ("config", "nmbrs.domain_unknown", "domain"),
    **dict.fromkeys(("9999", ""), ("transient", "nmbrs.failed", None)),
}
"""What a business code means: all but 9999 are for a human (dossier 3)."""
_CODE = re.compile(r"(?:--->\s*|\b)(\d{4})\s*:")
_domains: "WeakKeyDictionary[Http, str]" = WeakKeyDictionary()
Params = Sequence[tuple[str, str]]


async def call(http: Http, service: str, operation: str, params: Params = (), *, bare: bool = False) -> etree._Element:
    """The result element of an operation; an empty element when there is none. Parameters go in WSDL order (3).

    `bare`: with the header that names no domain, as `Environment_Get` wants it.
    """
    domain = "" if bare else await subdomain(http)
    space = NAMESPACE + service

    def compose(values: Mapping[str, str]) -> str:
        return _envelope(space, operation, params, values["email"], values.get("api_token", ""), domain)

    answered = await http.inquire(
        f"/{service}.asmx",
        compose,
        lambda status, content: _judged(status, content, f"{service}.{operation}"),
        headers={"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{space}/{operation}"'},
        endpoint="SOAP",
    )
    root = markup.parsed(markup.decoded(answered))
    wanted = f"{operation}result".lower()
    found = next((one for one in root.iter() if markup.name(one) == wanted), None)
    return etree.Element("none") if found is None else found


def _envelope(space: str, operation: str, params: Params, email: str, token: str, domain: str) -> str:
    def inside(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
        made = etree.SubElement(parent, f"{{{space}}}{name}")
        made.text = text
        return made

    root = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"soap": ENVELOPE, "n": space})
    header = etree.SubElement(root, f"{{{ENVELOPE}}}Header")
    signed = inside(header, "AuthHeaderWithDomain" if domain else "AuthHeader")
    inside(signed, "Username", email)
    inside(signed, "Token", token)
    if domain:
        inside(signed, "Domain", domain)
    body = etree.SubElement(root, f"{{{ENVELOPE}}}Body")
    asked = inside(body, operation)
    for name, value in params:
        inside(asked, name, value)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + etree.tostring(root, encoding="unicode")


def _judged(status: int, content: bytes, operation: str) -> Refusal | None:
    """The "no" in an answer; None for a result, and for an answer that says no more than its status."""
    try:
        text = markup.decoded(content)
        root = markup.parsed(text) if markup.is_markup(text) else None
    except markup.Unreadable:
        root = None
    if root is None or markup.name(root) != "envelope":
        said = f"HTTP {status}"
        return Refusal(said, "transient", "nmbrs.no_envelope") if 200 <= status < 300 else None
    fault = next((one for one in root.iter() if markup.name(one) == "fault"), None)
    return None if fault is None else _fault(fault, operation)


def _fault(fault: etree._Element, operation: str) -> Refusal:
    """What a fault means, in the shapes of SOAP 1.1 and 1.2 (dossier 3)."""
    told = [one for one in fault.iter() if markup.name(one) in ("faultstring", "text")]
    said = " ".join(markup.words(told[0] if told else fault).split())[:300]
    code = next(iter(_CODE.findall(said)), "")
    kind, key, field = FAULTS.get(code, ("rejected", "nmbrs.refused", None))
    return Refusal(said, kind, key, field, values=(("call", operation), ("code", code)))


async def subdomain(http: Http) -> str:
    """The environment's subdomain: typed, known of this connection, or looked up. Raises ConfigError without it."""
    if known := http.fields.get("domain") or http.fields.get("tenant") or _domains.get(http):
        return known.lower()
    found = await environment(http)
    _domains[http] = found
    return found


async def environment(http: Http) -> str:
    """The subdomain that the e-mail address and the token belong to (2.1). Raises ConfigError when it is not told."""
    found = markup.fields(await call(http, "DebtorService", "Environment_Get", bare=True))
    told = found.get("subdomain") or found.get("domain", "")
    told = told.lower().removesuffix(".nmbrs.nl").strip(".")
    if not told:
        raise ConfigError("nmbrs.domain_untold", field="domain")
    return told


async def _listed(http: Http, service: str, operation: str, params: Params = ()) -> list[dict[str, str]]:
    """The records of a list; whatever they are called, and however deep the one list of them sits."""
    result = await call(http, service, operation, params)
    while len(result) == 1 and len(result[0]) and all(len(one) for one in result[0]):
        result = result[0]
    return [found for one in result if (found := markup.fields(one))]


async def companies(http: Http) -> list[Company]:
    """All companies that the login sees."""
    return _companies(await _listed(http, "CompanyService", "List_GetAll"))


def _companies(rows: Sequence[Mapping[str, str]], debtor: str = "") -> list[Company]:
    return [Company(row["id"], number(row.get("number")), row.get("name", ""), debtor) for row in rows if row.get("id")]


async def debtors(http: Http, found: Sequence[Company]) -> Mapping[str, str]:
    """Company id -> debtor's number, by asking each debtor for its companies."""
    wanted = {one.id for one in found}
    numbers: dict[str, str] = {}
    for debtor in await _listed(http, "DebtorService", "List_GetAll"):
        if not (own := debtor.get("id")):
            continue
        rows = await _listed(http, "CompanyService", "List_GetByDebtor", [("DebtorId", own)])
        numbers |= {one.id: debtor.get("number") or own for one in _companies(rows) if one.id in wanted}
    return numbers


async def runs(http: Http, company: str, year: int) -> Runs:
    """The runs of a year."""
    rows = await _listed(http, "CompanyService", "Run_GetList", [("CompanyId", company), ("Year", str(year))])
    found: list[Run] = []
    odd = 0
    for row in rows:
        try:
            run = _run(row, year)
        except (KeyError, ValueError):
            odd += 1
            continue
        if run.year == year:
            found.append(run)
    return Runs(found, odd)


def _run(row: Mapping[str, str], year: int) -> Run:
    first, last = row.get("periodstart", ""), row.get("periodend", "")
    return Run(
        id=row["id"],
        number=number(row.get("number")),
        year=int(row.get("year") or year),
        first=int(first or last),
        last=int(last or first),
        description=row.get("description", ""),
        made_at=row.get("runat", ""),
        locked=row.get("islocked", "").lower() in ("true", "1"),
    )


async def contents(http: Http, company: str, wanted: Sequence[Asked]) -> AsyncIterator[Content]:
    """The journals of these runs, one call each. What is wrong with one run does not stop the others."""
    for asked in wanted:
        run = asked.run
        params = [("CompanyId", company), ("RunId", run.id), ("intYear", str(run.year))]
        try:
            result = await call(http, "CompanyService", JOURNALS[asked.split], params)
        except (RecordRejected, TransientError) as error:
            if isinstance(error, TransientError) and error.retry_after is not None:
                raise
            yield Content(run, trouble=error)
            continue
        # The XML is text inside the envelope; the parser has unescaped it, once (dossier 9).
        inside = "".join(etree.tostring(one, encoding="unicode", with_tail=False) for one in result)
        yield Content(run, inside if len(result) else markup.words(result))


async def kind(http: Http, company: str) -> str:
    """How a company pays, from its current period (`2010-4-4W`)."""
    found = await call(http, "CompanyService", "Company_GetCurrentPeriod", [("CompanyId", company)])
    return period_kind(markup.words(found))


async def cost_centres(http: Http, company: str) -> Mapping[str, str]:
    """Code -> words."""
    rows = await _listed(http, "CompanyService", "CostCenter_GetList", [("CompanyId", company)])
    return {row["code"]: row.get("description", "") for row in rows if row.get("code")}


TRANSPORT = Transport(companies, debtors, runs, contents, kind, cost_centres)
