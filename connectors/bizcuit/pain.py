"""PAIN.001.001.09: offered batches as a file that the customer brings to Bizcuit or the bank (dossier 8.6)."""

from datetime import date
from decimal import Decimal

from lxml import etree

from connectors.bizcuit.proposals import NAME, sepa
from hub.sdk.connector import Batch, File, Filed, Payload

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
_Element = etree._Element


def year(payload: Payload) -> int:
    """The year in which the salaries are to be paid: a file holds one."""
    return date.fromisoformat(payload["body"]["requestedExecutionDate"]).year


def document(batch: Batch) -> File:
    """One `PmtInf` per payroll run. Sums and counts stand on both levels, for the bank to check."""
    name = sepa(batch.company.get("company", ""), NAME) or "-"
    stem = f"LOON-{batch.year}-{batch.number:04d}"
    root = etree.Element(f"{{{NAMESPACE}}}Document", nsmap={None: NAMESPACE})
    initiation = _add(root, "CstmrCdtTrfInitn")
    header = _add(initiation, "GrpHdr")
    bodies = [one.payload["body"] for one in batch.documents]
    _add(header, "MsgId", stem)
    _add(header, "CreDtTm", f"{batch.made_on.isoformat()}T00:00:00")
    _add(header, "NbOfTxs", str(sum(int(body["numberOfLines"]) for body in bodies)))
    _add(header, "CtrlSum", f"{sum(Decimal(body['controlSum']) for body in bodies):.2f}")
    _add(_add(header, "InitgPty"), "Nm", name)
    for filed in batch.documents:
        _payment(initiation, filed, name)
    content = etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)
    return File(f"{stem}.xml", content, "application/xml")


def _payment(parent: _Element, filed: Filed, company: str) -> None:
    body = filed.payload["body"]
    info = _add(parent, "PmtInf")
    _add(info, "PmtInfId", filed.reference)
    _add(info, "PmtMtd", "TRF")
    _add(info, "BtchBookg", "true" if body["batchBooking"] else "false")
    _add(info, "NbOfTxs", str(body["numberOfLines"]))
    _add(info, "CtrlSum", body["controlSum"])
    kind = _add(info, "PmtTpInf")
    _add(_add(kind, "SvcLvl"), "Cd", "SEPA")
    _add(_add(kind, "CtgyPurp"), "Cd", "SALA")
    _add(_add(info, "ReqdExctnDt"), "Dt", body["requestedExecutionDate"])
    _add(_add(info, "Dbtr"), "Nm", filed.payload.get("debtorName") or company)
    _add(_add(_add(info, "DbtrAcct"), "Id"), "IBAN", body["debtorIban"])
    agent = _add(_add(info, "DbtrAgt"), "FinInstnId")
    _add(_add(agent, "Othr"), "Id", "NOTPROVIDED")
    _add(info, "ChrgBr", "SLEV")
    for line in body["lines"]:
        transfer = _add(info, "CdtTrfTxInf")
        _add(_add(transfer, "PmtId"), "EndToEndId", line["endToEndId"])
        amount = _add(_add(transfer, "Amt"), "InstdAmt", line["amount"])
        amount.set("Ccy", "EUR")
        _add(_add(transfer, "Cdtr"), "Nm", line["creditorName"])
        _add(_add(_add(transfer, "CdtrAcct"), "Id"), "IBAN", line["creditorIban"])
        if line["remittance"]:
            _add(_add(transfer, "RmtInf"), "Ustrd", line["remittance"])


def _add(parent: _Element, name: str, told: str | None = None) -> _Element:
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    if told is not None:
        element.text = told
    return element
