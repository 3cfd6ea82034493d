"""The structure checks of a connector: everything about its folder that a machine can judge without calling anyone.

Behaviour (paging, lost answers, refused keys) is judged by `tests/conformance`, over the connector's sandbox.
"""

import ast
import importlib
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml

from hub.sdk.connector import Connector
from hub.sdk.manifest import Manifest, OnChange, load
from hub.sdk.settings import Settings

ENGINE_SETTINGS = frozenset(
    {
        "account_mode",
        "administrations",
        "attach_document",
        "booking_date",
        "closed_until",
        "cost_centre_mode",
        "credit_payments",
        "customers",
        "default_cost_centre",
        "default_revenue_account",
        "fallback_account",
        "flows",
        "ignored_companies",
        "journal_date",
        "merge_lines",
        "net_pay_account",
        "note_failure",
        "note_ignored",
        "note_success",
        "on_change",
        "own_link_off",
        "revenue_account",
        "selection",
    }
)
"""Names that the engine's own settings have taken; a test holds it equal to them."""
ENGINE_LISTS = frozenset({"companies", "administrations", "accounts", "cost_centres"})
"""Live lists that the engine asks for by name."""
LINES_WANTED, LINES_ALLOWED, LINES_PER_FLOW = 350, 675, 225
"""Of product code: wanted, and allowed at most for what every connector needs, and for each flow and other protocol."""
LANGUAGES = ("nl", "en")
QUALITY: Mapping[str, tuple[str, ...]] = {
    "bronze": (
        "folder_is_name",
        "promises_kept",
        "choices_have_providers",
        "check_before_save",
        "golden_mapping",
        "sandbox_busy_and_lost",
        "strings_in_dutch",
        "docs_link_per_quirk",
    ),
    "silver": ("reauth_tried", "rate_limit_honoured", "find_proven", "changed_after_delivery", "owner"),
    "gold": ("vendor_sandbox_green", "reconcile", "beyond_invoices"),
}
_ROW = re.compile(r"done|todo(: \S.*)?|exempt: \S.*")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_OURS = ("hub.sdk", "hub.accounting")
_LIBRARIES = frozenset({"lxml", "pydantic", "stdnum", "yaml"})
_SANDBOX_LIBRARIES = frozenset({"starlette", "jinja2"})
_NETWORK = frozenset(
    {"ftplib", "http", "imaplib", "multiprocessing", "poplib", "smtplib", "socket", "ssl", "subprocess", "telnetlib"}
)
_ERRORS = ("VendorError", "ReauthRequired", "ConfigError", "RecordRejected", "TransientError", "OutcomeUnknown")


@dataclass(frozen=True)
class Check:
    """One law and whether the connector keeps it; `sentence` says what is wrong, or what was counted."""

    name: str
    ok: bool
    sentence: str


def check(folder: Path) -> list[Check]:
    """All structure checks over one connector folder. Never raises for what is wrong with the connector."""
    subject = _Subject(folder.resolve())
    with _importable(subject.folder):
        return [_run(name, law, subject) for name, law in LAWS.items()]


@dataclass
class _Subject:
    """A connector folder as its laws see it; each part is read once, and raises what is wrong with it."""

    folder: Path
    sources: dict[Path, ast.Module] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def manifest(self) -> Manifest:
        return load(self.folder)

    @cached_property
    def connector(self) -> Connector:
        found = importlib.import_module(f"connectors.{self.name}").CONNECTOR
        if not isinstance(found, Connector):
            raise TypeError("CONNECTOR in __init__.py is not a Connector")
        return found

    @cached_property
    def product(self) -> list[Path]:
        return [path for path in sorted(self.folder.rglob("*.py")) if path.name != "sandbox.py"]

    def tree(self, path: Path) -> ast.Module:
        if path not in self.sources:
            self.sources[path] = ast.parse(path.read_text(encoding="utf-8"), path.name)
        return self.sources[path]

    def strings(self, language: str) -> dict[str, str]:
        found = yaml.safe_load((self.folder / "strings" / f"{language}.yaml").read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"strings/{language}.yaml is not a list of `key: sentence`")
        if odd := sorted(str(key) for key, sentence in found.items() if not isinstance(sentence, str)):
            raise ValueError(f"strings/{language}.yaml: {', '.join(odd)} is no sentence (keys are flat)")
        return found


Law = Callable[[_Subject], Iterable[str]]
"""Yields what is wrong; a text that starts with `ok: ` only tells."""


def _run(name: str, law: Law, subject: _Subject) -> Check:
    try:
        said = list(law(subject))
    except Exception as error:  # A connector's own code may raise anything.
        first = next(iter(str(error).splitlines()), "")
        said = [f"{type(error).__name__}: {first}"[:300]]
    wrong = [one for one in said if not one.startswith("ok: ")]
    told = "; ".join(one.removeprefix("ok: ") for one in wrong or said)
    return Check(name, not wrong, told or "in order")


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """The folder's parent as a home of connectors, for a connector that is not among the shipped ones."""
    home = importlib.import_module("connectors")
    shipped = [Path(path).resolve() for path in home.__path__]
    if folder.parent in shipped:
        yield
        return
    before = list(home.__path__)
    home.__path__ = [str(folder.parent), *before]
    _forget(home, folder.name)
    try:
        yield
    finally:
        home.__path__ = before
        _forget(home, folder.name)


def _forget(home: Any, name: str) -> None:
    importlib.invalidate_caches()
    for module in [one for one in sys.modules if one == f"connectors.{name}" or one.startswith(f"connectors.{name}.")]:
        del sys.modules[module]
    home.__dict__.pop(name, None)


def _valid_manifest(subject: _Subject) -> Iterable[str]:
    if not subject.manifest.auth:
        yield "the manifest names no way to get in"
    keyed = [way for way in subject.manifest.auth if way.typed and way.kind != "file"]
    if any(not any(one.secret for one in way.fields) for way in keyed):
        yield "a way in by key or session has no secret field"


def _named_by_folder(subject: _Subject) -> Iterable[str]:
    if subject.manifest.name != subject.name:
        yield f"the folder is called {subject.name}, the manifest says {subject.manifest.name}"


def _importing(subject: _Subject) -> Iterable[str]:
    if subject.connector.manifest != subject.manifest:
        yield "CONNECTOR does not carry this folder's manifest"


def _promises(subject: _Subject) -> Iterable[str]:
    made = subject.connector
    for kind, promised, kept in (
        ("source", set(subject.manifest.sources), set(made.sources)),
        ("settlement", set(subject.manifest.settlements), set(made.settlements)),
        ("target", set(subject.manifest.targets), set(made.targets)),
    ):
        yield from (f"{kind} {name} is promised in the manifest and not in code" for name in sorted(promised - kept))
        yield from (f"{kind} {name} is in code and not promised in the manifest" for name in sorted(kept - promised))
    for name, facts in subject.manifest.targets.items():
        writer = made.targets.get(name)
        if writer and facts.on_change is OnChange.update and writer.update is None:
            yield f"target {name} promises on_change: update and has no update"
        if writer and facts.on_change is OnChange.reverse and writer.reversal is None:
            yield f"target {name} promises on_change: reverse and has no reversal"
    if not (made.sources or made.settlements or made.targets):
        yield "it reads nothing and writes nothing"


def _choices(subject: _Subject) -> Iterable[str]:
    made = subject.connector
    for name, info in made.settings.model_fields.items():
        facts = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        wanted = facts.get("choice")
        if wanted and wanted not in made.options and wanted not in ENGINE_LISTS:
            yield f"setting {name} is chosen from {wanted}, which no options provider gives"
    if "invoices" in made.sources and "companies" not in made.options:
        yield "a source of invoices must list its companies"
    books = {"invoices", "customers", "journals"} & set(made.targets)
    if books and "administrations" not in made.options:
        yield "a package that is booked in must list its administrations"
    if "journals" in made.targets and "cost_centres" not in made.options:
        yield "a package that takes journal entries must list its cost centres, even if it has none"
    if books and made.master is None:
        yield "a package that is booked in must give its master data"


def _settings(subject: _Subject) -> Iterable[str]:
    kind = subject.connector.settings
    if not issubclass(kind, Settings):
        yield "settings are not a hub.sdk.settings.Settings"
    fields = kind.model_fields
    needed = [name for name, info in fields.items() if info.is_required()]
    yield from (f"setting {name} has no default" for name in needed)
    if not needed:
        kind()
    if clash := sorted(set(fields) & ENGINE_SETTINGS):
        yield f"the engine has settings of this name: {', '.join(clash)}"
    for other in sorted(subject.folder.parent.glob("*/manifest.yaml")):
        if other.parent.name != subject.name:
            theirs = _declared(other.parent / "settings.py")
            yield from (
                f"{other.parent.name} has a setting of this name: {one}" for one in sorted(theirs & set(fields))
            )


def _declared(path: Path) -> set[str]:
    """The fields that a settings module declares, read without importing somebody else's connector."""
    if not path.exists():
        return set()
    return {
        line.target.id
        for made in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(made, ast.ClassDef)
        for line in made.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }


def _languages(subject: _Subject) -> Iterable[str]:
    dutch, english = (subject.strings(language) for language in LANGUAGES)
    yield from (f"{key} has no English sentence" for key in sorted(set(dutch) - set(english)))
    yield from (f"{key} has no Dutch sentence" for key in sorted(set(english) - set(dutch)))
    for key in sorted(set(dutch) & set(english)):
        if set(_PLACEHOLDER.findall(dutch[key])) != set(_PLACEHOLDER.findall(english[key])):
            yield f"{key} has other placeholders in Dutch than in English"
        if not (dutch[key].strip() and english[key].strip()):
            yield f"{key} is empty"


def _labels(subject: _Subject) -> Iterable[str]:
    made, known = subject.connector, subject.strings("nl")
    wanted = [f"connect.{subject.name}.{one.name}" for way in made.manifest.auth for one in way.fields]
    for name, info in made.settings.model_fields.items():
        label = f"settings.{subject.name}.{name}"
        wanted += [label, f"{label}.help"]
        if get_origin(info.annotation) is Literal:
            wanted += [f"{label}.{choice}" for choice in get_args(info.annotation)]
    yield from (f"no sentence for {key}" for key in dict.fromkeys(wanted) if key not in known)


def _sentences(subject: _Subject) -> Iterable[str]:
    known = subject.strings("nl")
    for path in subject.product:
        tree = subject.tree(path)
        for key in sorted({*_literal_keys(tree, subject.name), *_built_keys(tree, subject.name)}):
            if key not in known:
                yield f"no sentence for {key} ({path.name})"
        for key in sorted(_foreign_keys(tree, subject.name)):
            yield f"{path.name}: key {key} must start with {subject.name}."


def _literal_keys(tree: ast.Module, name: str) -> Iterable[str]:
    """Every text in the code that has the form of one of this connector's keys."""
    form = re.compile(rf"{name}\.[a-z][a-z0-9_]*")
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and form.fullmatch(node.value):
            yield node.value


def _built_keys(tree: ast.Module, name: str) -> Iterable[str]:
    """Keys that a function makes of its parameter (`f"acme.{key}"`), by the texts that it is called with."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        parameters = [one.arg for one in function.args.args if one.arg not in ("self", "cls")]
        for made in (node for node in ast.walk(function) if isinstance(node, ast.JoinedStr)):
            match made.values:
                case [ast.Constant(value=str(head)), ast.FormattedValue(value=ast.Name(id=given))] if (
                    head == f"{name}." and given in parameters
                ):
                    at = parameters.index(given)
                    yield from (head + said for said in _said_to(tree, function.name, given, at))


def _said_to(tree: ast.Module, function: str, parameter: str, at: int) -> Iterable[str]:
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == function):
        named = [one.value for one in call.keywords if one.arg == parameter]
        for given in [*named, *call.args[at : at + 1]]:
            yield from _texts(given)


def _texts(given: ast.expr) -> Iterable[str]:
    """The texts that an expression may come to."""
    match given:
        case ast.Constant(value=str(said)):
            yield said
        case ast.IfExp(body=one, orelse=other):
            yield from (*_texts(one), *_texts(other))


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _foreign_keys(tree: ast.Module, name: str) -> Iterable[str]:
    """Keys given to a Finding or one of the errors that are not this connector's own."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        given = (
            [one.value for one in call.keywords if one.arg == "key"] if _called(call) in ("Finding", "Refusal") else []
        )
        given += call.args[:1] if _called(call) in _ERRORS else []
        for one in given:
            if isinstance(one, ast.Constant) and not str(one.value).startswith(f"{name}."):
                yield str(one.value)


def _papers(subject: _Subject) -> Iterable[str]:
    readme = subject.folder / "README.md"
    if not readme.exists() or not readme.read_text(encoding="utf-8").strip():
        yield "README.md is missing or empty"
    rows = yaml.safe_load((subject.folder / "quality.yaml").read_text(encoding="utf-8"))
    for level, names in QUALITY.items():
        given = rows.get(level) if isinstance(rows, dict) else None
        given = given if isinstance(given, dict) else {}
        yield from (f"quality.yaml lacks {level}.{name}" for name in names if name not in given)
        for name, value in given.items():
            if not _ROW.fullmatch(str(value)):
                yield f"quality.yaml: {level}.{name} is neither done, todo nor `exempt: reason`"
            elif level == "bronze" and str(value).startswith("todo"):
                yield f"quality.yaml: {level}.{name} must be done"


def _addresses(subject: _Subject) -> Iterable[str]:
    places = {"docs": subject.manifest.docs, **subject.manifest.endpoints}
    yield from (f"{name} is not https: {url}" for name, url in places.items() if not url.startswith("https://"))


def _size(subject: _Subject) -> Iterable[str]:
    total = sum(map(code_lines, subject.product))
    facts = subject.manifest
    flows = len(facts.sources) + len(facts.settlements) + len(facts.targets)
    protocols = len(set(facts.endpoints) - {"API", "AUTHORIZE", "TOKEN"})
    allowed = LINES_ALLOWED + LINES_PER_FLOW * (flows + protocols)
    told = f"{total} lines of product code ({LINES_WANTED} wanted, {allowed} allowed)"
    yield told if total > allowed else f"ok: {'warning: ' if total > LINES_WANTED else ''}{told}"


def code_lines(path: Path) -> int:
    """How many lines of a module hold code: imports, comments, docstrings and empty lines are not counted."""
    with tokenize.open(path) as opened:
        tokens = list(tokenize.generate_tokens(opened.readline))
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines = {line for one in tokens if one.type not in silent for line in range(one.start[0], one.end[0] + 1)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        ):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def _imports(subject: _Subject) -> Iterable[str]:
    for path in sorted(subject.folder.rglob("*.py")):
        libraries = _LIBRARIES | (_SANDBOX_LIBRARIES if path.name == "sandbox.py" else frozenset())
        for module in sorted(set(_imported(subject.tree(path)))):
            if not _allowed(module, subject.name, libraries, sandbox=path.name == "sandbox.py"):
                yield f"{path.name} may not import {module}"


def _imported(tree: ast.Module) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (
                [f"{node.module}.{one.name}" for one in node.names] if node.module == "hub" else [str(node.module)]
            )


def _allowed(module: str, name: str, libraries: frozenset[str], *, sandbox: bool) -> bool:
    top = module.split(".", 1)[0]
    if top == "connectors":
        own = module == f"connectors.{name}" or module.startswith(f"connectors.{name}.")
        return own and (sandbox or module != f"connectors.{name}.sandbox")
    if top == "hub":
        return module.startswith(tuple(f"{one}." for one in _OURS)) or module in _OURS
    if module == "urllib.request" or top in _NETWORK:
        return False
    return top in libraries or top in sys.stdlib_module_names


def _sandboxed(subject: _Subject) -> Iterable[str]:
    path = subject.folder / "sandbox.py"
    if not path.exists():
        yield "there is no sandbox.py"
        return
    named = [
        line.value
        for line in subject.tree(path).body
        if isinstance(line, ast.Assign | ast.AnnAssign)
        and any(isinstance(one, ast.Name) and one.id == "SANDBOX" for one in _targets(line))
    ]
    if not named:
        yield "sandbox.py does not say what SANDBOX is"
    elif not isinstance(named[-1], ast.Name):
        yield "SANDBOX is not the class itself: whoever runs it makes one of its own"


def _targets(line: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return line.targets if isinstance(line, ast.Assign) else [line.target]


LAWS: Mapping[str, Law] = {
    "manifest": _valid_manifest,
    "folder_is_name": _named_by_folder,
    "connector": _importing,
    "promises": _promises,
    "choices": _choices,
    "settings": _settings,
    "languages": _languages,
    "labels": _labels,
    "sentences": _sentences,
    "papers": _papers,
    "addresses": _addresses,
    "size": _size,
    "imports": _imports,
    "sandbox": _sandboxed,
}
"""Every check by name, in the order in which they are told."""
