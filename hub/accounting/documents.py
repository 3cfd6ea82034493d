"""The documents that travel between packages: what they say, with no package's words in them.

Sign convention: amounts are as the customer owes them. An invoice is positive, a credit note is negative in quantity,
net, VAT and total alike; only the posting turns signs into debit and credit sides.
"""

import hashlib
from collections.abc import Mapping
from datetime import date as Day  # noqa: N812 - `date` is a field's name
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

Amount = Annotated[Decimal, PlainSerializer(lambda amount: f"{amount.normalize():f}", when_used="json")]
"""A decimal that reads the same whichever way the package wrote it: `1900`, `1900.00` and `"1900.000000"` are one."""
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Text = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """A frozen, strict value: no coercion, no unknown field, no change."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Finding(Part):
    """Something a human must look at: a key with values, of which the sentences stand in the translation files."""

    key: Text
    values: Mapping[str, str] = {}
    field: str | None = None
    """The setting, mapping table or document field that can be changed to solve it."""


class Document(Part):
    """What one package says of one business fact. `source_id` is the package's own stable id."""

    source_id: Text

    UNBOOKED: ClassVar[Any] = None
    """What may change without a booking being wrong: words for humans. In pydantic's `exclude` form."""

    def fingerprint(self) -> str:
        """SHA-256 over what is booked: equal for equal content, whatever the package's spelling of it."""
        return hashlib.sha256(self.model_dump_json(exclude=self.UNBOOKED).encode()).hexdigest()


class VatTreatment(StrEnum):
    """Why VAT is what it is. A percentage cannot tell 0 %, reverse charge, ICP, export and exempt apart."""

    standard = "standard"
    """Charged at the class's percentage, 0 % included."""
    reverse_charge = "reverse_charge"
    """Domestic reverse charge (btw verlegd)."""
    icp = "icp"
    """Services or goods to a business in another EU country."""
    export = "export"
    """To a customer outside the EU."""
    exempt = "exempt"
    """Exempt from VAT (vrijgesteld)."""


class VatClass(Part):
    """A VAT class as the source names it; 21 is 21 %. `treatment` None: the source cannot tell."""

    id: Text
    label: str = ""
    percentage: Amount | None = None
    treatment: VatTreatment | None = None


class Label(Part):
    """A thing the source names for itself (a revenue group, a cost centre): its id and its words."""

    id: Text
    label: str = ""


class InvoiceLine(Part):
    """One line. `net` excludes VAT and is signed; `vat` is the VAT of this line as the source says it."""

    description: str = ""
    quantity: Amount | None = None
    unit_price: Amount | None = None
    net: Amount
    vat: Amount
    vat_class: VatClass | None = None
    revenue_group: Label | None = None
    cost_centre: Label | None = None
    article: str | None = None


class PartyRef(Part):
    """Who a document is for: the source's id of the customer, and the name to show."""

    source_id: Text
    name: str = ""


class SalesInvoice(Document):
    """A sent sales invoice or credit note, with the totals the source printed on it."""

    UNBOOKED: ClassVar[Any] = {
        "reference": True,
        "subject": True,
        "customer": {"name"},
        "lines": {"__all__": {"description": True, "vat_class": {"label"}, "revenue_group": {"label"}}},
    }

    company: Text
    """The source's company (profile) that sent it: decides the administration."""
    number: Text
    date: Day
    due_date: Day | None = None
    customer: PartyRef
    currency: Currency
    reference: str = ""
    subject: str = ""
    lines: tuple[InvoiceLine, ...]
    total_net: Amount
    total_vat: Amount
    total: Amount

    @property
    def is_credit(self) -> bool:
        """True for a credit note."""
        return self.total < 0


class Address(Part):
    """A postal address; `street` holds the number too, `country` is ISO 3166 alpha-2."""

    street: str = ""
    postal_code: str = ""
    city: str = ""
    country: str = ""


class Customer(Document):
    """A debtor. `emails` are lower-cased, the general address first; an empty one says that none is known."""

    name: Text
    number: str = ""
    """The number the source itself gives the relation; a hint, never a key."""
    is_person: bool = False
    contact: str = ""
    emails: tuple[str, ...] = ()
    phone: str = ""
    address: Address = Address()
    vat_number: str = ""
    chamber_of_commerce: str = ""
    iban: str = ""
    payment_days: int | None = None


class Payment(Document):
    """Proof that the document `invoice` was paid in full; `amount` has the invoice's sign."""

    invoice: Text
    """The source id of the invoice in the package that made it: there the payment is written."""
    number: str = ""
    date: Day
    amount: Amount
    currency: Currency
    reference: str = ""
    """Where it stands in the books, for a human."""


class EntryLine(Part):
    """One line of a journal entry, as the source says it: a side may be zero or negative. Leading zeros are kept."""

    account: str
    """The source's ledger account; empty when it gives none."""
    account_name: str = ""
    debit: Amount = Decimal(0)
    credit: Amount = Decimal(0)
    description: str = ""
    cost_centre: Label | None = None

    @property
    def sides(self) -> tuple[tuple[Decimal, Decimal], ...]:
        """(debit, credit) with a negative value on the other side: one pair per side above zero, none for a zero line.

        A line with both sides stays two, so that the sums of an entry are the source's own.
        """
        debit = max(self.debit, Decimal(0)) + max(-self.credit, Decimal(0))
        credit = max(self.credit, Decimal(0)) + max(-self.debit, Decimal(0))
        return tuple(pair for pair in ((debit, Decimal(0)), (Decimal(0), credit)) if any(pair))


class JournalEntry(Document):
    """A payroll journal of one run: lines that must balance, in one fiscal period."""

    UNBOOKED: ClassVar[Any] = {"lines": {"__all__": {"account_name": True, "cost_centre": {"label"}}}}

    company: Text
    """The source's company: decides the administration. The same over all ways in to the package."""
    number: str
    """How people call it, such as `2026-03 run 3`."""
    date: Day
    year: int
    """The payroll year."""
    period: int
    """The last payroll period of the run: 1–12, 1–13 (four-weekly) or 1–53 (weekly)."""
    description: str = ""
    currency: Currency
    lines: tuple[EntryLine, ...]

    @property
    def amount(self) -> Decimal:
        """The sum of the debit side once negative values stand on the other side."""
        return sum((debit for line in self.lines for debit, _ in line.sides), Decimal(0))

    @property
    def shown_period(self) -> str:
        """Year and period as people write them: `2026-03`."""
        return f"{self.year}-{self.period:02d}"

    def fingerprint(self) -> str:
        """As any document's, but the order in which a package lists the lines says nothing."""
        ordered = self.model_copy(update={"lines": tuple(sorted(self.lines, key=EntryLine.model_dump_json))})
        return super(JournalEntry, ordered).fingerprint()


class PaymentOrder(Part):
    """One salary, or another sum that a payroll run owes: personal data. `iban` is in its electronic form."""

    reference: Text
    """Unique within the batch; the bank carries it to the statement (`EndToEndId`)."""
    name: Text
    iban: Text
    amount: Amount
    remittance: str = ""
    purpose: str = "SALA"
    """ISO 20022 external purpose code."""


class SalaryBatch(Document):
    """What a payroll run pays to whom: offered for payment, never paid by us. `source_id` is that of its journal."""

    UNBOOKED: ClassVar[Any] = {"journal": True, "owed": True}

    company: Text
    number: str
    date: Day
    """The day on which the source wants it paid."""
    description: str = ""
    currency: Currency
    debtor_iban: str = ""
    """The account to pay from, as the source has it; empty when it names none."""
    debtor_name: str = ""
    journal: str = ""
    """Fingerprint of the journal as it stood in the books when the batch was made."""
    owed: tuple[tuple[str, Amount], ...] = ()
    """Per account of that journal what its credit side or balance comes to: the net pay must be among them."""
    total: Amount
    orders: tuple[PaymentOrder, ...]


class Ignored(Part):
    """The source's own rule says that this record is not to be booked (a concept, a text marker)."""

    source_id: Text
    reason: Finding
    number: str = ""
    date: Day | None = None
    period: str = ""
    """For a journal entry, as `JournalEntry.shown_period` says it."""
    amount: Amount | None = None
    currency: str = ""
    noted: bool = False
    """Whether the source's timeline should say so too: a choice of a human deserves it, a concept does not."""


def document_from(kind: type[Document], stored: Mapping[str, Any]) -> Document:
    """A document back from its stored JSON form. Raises pydantic.ValidationError when the form has changed."""
    return kind.model_validate(dict(stored), strict=False)
