"""The stand-in profile: every name of Minuba's API that is assumed and not seen, in one place (dossier 5, 8.5).

Swap names here when the vendor's reference is at hand. Names are compared without case and underscores; of several
the first that is filled counts, and the first is what our own sandbox says.
"""

INVOICE = "Invoice"
"""The resource of customer invoices and credit notes."""
APPROVED, PAID = "approved", "paid"
"""States of what can no longer be changed; a paid invoice was approved before (dossier 5)."""
INCLUDE = "client,lines"

DRAFT_WORDS = frozenset({"draft", "concept", "kladde", "rejected", "proposal"})
APPROVED_WORDS = frozenset(
    {"approved", "godkendt", "goedgekeurd", "godkjent", "paid", "betalt", "betaald", "sent", "exported", "credited"}
)
CREDIT_WORDS = frozenset({"credit", "creditnote", "creditnota", "kreditnota"})
TEXT_WORDS = frozenset({"text", "tekst", "comment", "header"})

Names = tuple[str, ...]
NUMBER: Names = ("invoicenumber", "invoiceno", "number")
STATE: Names = ("state", "status")
KIND: Names = ("type", "invoicetype", "linetype", "kind")
CREDITED: Names = ("creditedinvoiceid",)
APPROVED_AT: Names = ("approvedat", "approveddate", "approved")
DATE: Names = ("invoicedate", "date")
DUE: Names = ("duedate",)
CURRENCY: Names = ("currency", "currencycode")
CLIENT_ID: Names = ("clientid", "customerid")
CLIENT_NAME: Names = ("clientname", "customername")
REFERENCE: Names = ("theirref", "reference")
SUBJECT: Names = ("subject", "description", "title")
LINES: Names = ("lines", "invoicelines")
NET: Names = ("totalexclvat", "totalnet", "nettotal", "netamount", "subtotal")
VAT: Names = ("vatamount", "totalvat", "vattotal")
GROSS: Names = ("totalinclvat", "totalgross", "grosstotal", "grossamount", "total")

TEXT: Names = ("text", "description", "name")
QUANTITY: Names = ("quantity", "qty")
PRICE: Names = ("unitprice", "price", "salesprice")
DISCOUNT: Names = ("discountpercent", "discountpercentage", "discountpct")
VAT_PERCENT: Names = ("vatpercent", "vatpercentage", "vatrate")
VAT_WORDS: Names = ("vatcode", "vattype", "vattext", "vatdescription")
REVERSED: Names = ("reversecharge", "reversedvat", "reversecharged")
MATERIAL: Names = ("materialnumber", "materialno", "articlenumber", "productnumber", "itemnumber")
LINE_NET: Names = ("totalexclvat", "netamount", "linetotal")
LINE_VAT: Names = ("vatamount",)

CUSTOMER_NUMBER: Names = ("clientnumber", "customernumber", "clientno", "customerno", "number")
VAT_NUMBER: Names = ("vatnumber", "vatno")
CHAMBER: Names = ("kvk", "kvknumber", "organisationnumber", "organizationnumber")
TERM: Names = ("paymentterm", "paymentterms", "paymentdays", "paymenttermdays")
