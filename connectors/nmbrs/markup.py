"""XML from elsewhere read safely: no document types, no entities, no network, and a limit on its size."""

import re

from lxml import etree

LARGEST = 16 * 1024 * 1024
_DECLARED = re.compile(r"""\A\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["'][^>]*\?>""")
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_DOCTYPE = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


class Unreadable(Exception):
    """What came is not XML that may be read; `str()` says why."""


def parsed(text: str) -> etree._Element:
    """The root element. Raises Unreadable for everything that is not one well-formed, harmless document."""
    if len(text) > LARGEST:
        raise Unreadable(f"larger than {LARGEST} characters")
    if _DOCTYPE.search(_outside_text(text)):
        raise Unreadable("it declares a document type or entities")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, remove_comments=True,
        remove_pis=True, huge_tree=True,
    )  # fmt: skip
    body = _DECLARATION.sub("", text.lstrip("\ufeff"), count=1).strip()
    try:
        root = etree.fromstring(body.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(str(error)[:200]) from error
    if any(not isinstance(one.tag, str) for one in root.iter()):
        raise Unreadable("it holds an entity that is not known")
    return root


def _outside_text(text: str) -> str:
    """The text without its CDATA sections, in which anything may stand."""
    return re.sub(r"<!\[CDATA\[.*?\]\]>", "", text, flags=re.DOTALL)


def decoded(content: bytes) -> str:
    """Bytes as text: by byte order mark, else as UTF-8, else as the document itself declares.

    A declaration is believed last, since Nmbrs declares utf-16 over utf-8 in other documents (dossier 5.2). Raises
    Unreadable for bytes in no stated encoding.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return _in(content, encoding)
    for start, encoding in ((b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be")):
        if content.startswith(start):
            return _in(content, encoding)
    declared = _DECLARED.match(content[:200].decode("latin-1"))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return _in(content, declared.group(1) if declared else "utf-8")


def _in(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise Unreadable(f"not in {encoding}: {error}"[:200]) from error


def is_markup(text: str) -> bool:
    """True for what starts as XML does and is no web page."""
    start = _DECLARATION.sub("", text.lstrip("\ufeff"), count=1).lstrip()[:15].lower()
    return start.startswith("<") and not start.startswith(("<html", "<!doctype html"))


def name(element: etree._Element) -> str:
    """An element's name without its namespace, in lower case."""
    return etree.QName(element).localname.lower()


def child(element: etree._Element, wanted: str) -> etree._Element | None:
    """The first child of this name (lower case)."""
    return next((one for one in element if name(one) == wanted), None)


def words(element: etree._Element | None) -> str:
    """The text in an element, trimmed; empty for none."""
    return "" if element is None else "".join(map(str, element.itertext())).strip()


def fields(element: etree._Element) -> dict[str, str]:
    """The children of a record by name (lower case)."""
    return {name(one): words(one) for one in element}
