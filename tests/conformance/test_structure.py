"""The structure checks themselves: a connector as it is laid out keeps every law, and each law catches its breach."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.sdk import conformance, scaffold

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A connector as `hub connector new` lays it out."""
    scaffold.create("zilver", tmp_path / "connectors")
    return tmp_path / "connectors" / "zilver"


def failing(folder: Path) -> dict[str, str]:
    return {one.name: one.sentence for one in conformance.check(folder) if not one.ok}


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Puts `new` in place of the first `old` of a file."""

    def edited(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text, f"{name} does not hold {old}"
        path.write_text(text.replace(old, new, 1))

    return edited


def append(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text((folder / name).read_text() + text) and None


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def neighbour(folder: Path) -> None:
    """Another connector beside it that has a setting of the same name."""
    shutil.copytree(folder, folder.parent / "goud")


BREACHES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "another name than the folder's": (edit("manifest.yaml", "name: zilver", "name: goud"), "folder_is_name", "goud"),
    "a manifest with an unknown word": (append("manifest.yaml", "colour: blue\n"), "manifest", "ValidationError"),
    "a way in without a secret": (edit("manifest.yaml", ", secret: true", ""), "manifest", "no secret field"),
    "code that does not load": (append("__init__.py", "\nraise RuntimeError('stuk')\n"), "connector", "stuk"),
    "another manifest than its own": (
        edit("__init__.py", "manifest=load(Path(__file__).parent)", "manifest=_OTHER"),
        "connector",
        "_OTHER",
    ),
    "a promised source without code": (
        edit("manifest.yaml", "sources: [invoices]", "sources: [invoices, customers]"),
        "promises",
        "source customers is promised",
    ),
    "a source that was not promised": (
        edit("manifest.yaml", "sources: [invoices]", "sources: []"),
        "promises",
        "source invoices is in code",
    ),
    "a settlement without code": (
        append("manifest.yaml", "settlements: [invoices]\n"),
        "promises",
        "settlement invoices is promised",
    ),
    "a target without code": (
        edit("manifest.yaml", "  payments:", "  customers: {dedupe: none}\n  payments:"),
        "promises",
        "target customers is promised",
    ),
    "an update that was not written": (
        edit("manifest.yaml", "on_change: manual", "on_change: update"),
        "promises",
        "has no update",
    ),
    "a source that lists no companies": (
        edit("__init__.py", '    options={"companies": account.companies},\n', ""),
        "choices",
        "companies",
    ),
    "a setting without a default": (
        edit("settings.py", '] = "sent"', "]"),
        "settings",
        "zilver_take has no default",
    ),
    "a setting that the engine has": (edit("settings.py", "zilver_take", "booking_date"), "settings", "the engine has"),
    "a setting that another connector has": (neighbour, "settings", "goud has a setting of this name: zilver_take"),
    "a sentence in Dutch only": (append("strings/nl.yaml", 'zilver.extra: "Extra"\n'), "languages", "no English"),
    "a sentence in English only": (append("strings/en.yaml", 'zilver.extra: "Extra"\n'), "languages", "no Dutch"),
    "other placeholders": (
        edit("strings/en.yaml", "lacks the field {field}", "lacks a field"),
        "languages",
        "zilver.field_missing",
    ),
    "an empty sentence": (
        lambda folder: [append(f"strings/{one}.yaml", 'zilver.extra: ""\n')(folder) for one in ("nl", "en")] and None,
        "languages",
        "zilver.extra is empty",
    ),
    "a setting without a label": (
        edit("strings/nl.yaml", "settings.zilver.zilver_take.help", "settings.zilver.gone.help"),
        "labels",
        "settings.zilver.zilver_take.help",
    ),
    "a value without a label": (
        edit("strings/nl.yaml", "zilver_take.approved", "zilver_take.gone"),
        "labels",
        "zilver_take.approved",
    ),
    "a connect field without a label": (
        edit("strings/nl.yaml", "connect.zilver.api_key", "connect.zilver.gone"),
        "labels",
        "connect.zilver.api_key",
    ),
    "a finding without a sentence": (
        edit("payments.py", '"zilver.not_in_euro"', '"zilver.odd"'),
        "sentences",
        "zilver.odd",
    ),
    "a key made by a function, without a sentence": (
        edit("invoices.py", 'self.wrong("amount_unreadable"', 'self.wrong("odd"'),
        "sentences",
        "zilver.odd",
    ),
    "a finding of somebody else": (
        edit("invoices.py", 'key="zilver.not_sent"', 'key="not_sent"'),
        "sentences",
        "not_sent must start with zilver.",
    ),
    "an error of somebody else": (
        edit("payments.py", 'OutcomeUnknown("zilver.unclear_answer")', 'OutcomeUnknown("unclear")'),
        "sentences",
        "unclear must start with",
    ),
    "no README": (remove("README.md"), "papers", "README.md is missing"),
    "no quality": (remove("quality.yaml"), "papers", "quality.yaml"),
    "a quality row that is missing": (edit("quality.yaml", "  golden_mapping: done\n", ""), "papers", "golden_mapping"),
    "a quality row of another word": (
        edit("quality.yaml", "reauth_tried: done", "reauth_tried: nearly"),
        "papers",
        "reauth_tried is neither",
    ),
    "an exemption without a reason": (
        edit("quality.yaml", 'reconcile: "exempt: a source; the target reconciles"', "reconcile: exempt"),
        "papers",
        "reconcile is neither",
    ),
    "bronze that is still to do": (
        edit("quality.yaml", "golden_mapping: done", "golden_mapping: todo"),
        "papers",
        "must be done",
    ),
    "an open endpoint": (edit("manifest.yaml", "API: https:", "API: http:"), "addresses", "API is not https"),
    "documentation in the open": (edit("manifest.yaml", "docs: https:", "docs: http:"), "addresses", "docs"),
    "too much code": (append("payments.py", "x = 1\n" * 2500), "size", "lines of product code"),
    "the engine": (append("payments.py", "from hub.engine import run\n"), "imports", "hub.engine"),
    "the kit": (append("payments.py", "from hub import kit\n"), "imports", "hub.kit"),
    "our HTTP library": (append("payments.py", "import httpx2\n"), "imports", "httpx2"),
    "another HTTP library": (append("payments.py", "import httpx\n"), "imports", "httpx"),
    "a way around the HTTP client": (append("payments.py", "import urllib.request\n"), "imports", "urllib.request"),
    "another connector": (append("payments.py", "from connectors.minox import CONNECTOR\n"), "imports", "minox"),
    "its own sandbox": (append("payments.py", "from connectors.zilver.sandbox import KEY\n"), "imports", "sandbox"),
    "a web framework in the product": (append("payments.py", "import starlette\n"), "imports", "starlette"),
    "no sandbox": (remove("sandbox.py"), "sandbox", "no sandbox.py"),
    "a sandbox that is made already": (
        edit("sandbox.py", "SANDBOX = ZilverSandbox", "SANDBOX = ZilverSandbox()"),
        "sandbox",
        "not the class itself",
    ),
    "a sandbox without its name": (edit("sandbox.py", "SANDBOX = ", "BOX = "), "sandbox", "SANDBOX"),
}


def test_a_connector_as_it_is_laid_out_keeps_every_law(folder: Path) -> None:
    assert failing(folder) == {}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_broken_connector_fails_the_check_that_is_meant(folder: Path, breach: str) -> None:
    spoil, law, words = BREACHES[breach]
    spoil(folder)

    assert words in failing(folder).get(law, "")


def test_every_law_has_a_breach_that_it_catches() -> None:
    assert {law for _, law, _ in BREACHES.values()} == set(conformance.LAWS)


def test_a_choice_needs_somebody_who_gives_the_list(folder: Path) -> None:
    path = folder / "settings.py"
    path.write_text(
        path.read_text().replace("import Settings", "import Choice, Settings, chosen")
        + '    zilver_journal: str = chosen("", Choice("journals"))\n'
    )

    assert "zilver_journal is chosen from journals" in failing(folder)["choices"]


def test_checking_leaves_no_trace_of_a_connector_that_is_not_shipped(folder: Path) -> None:
    conformance.check(folder)

    assert [name for name in sys.modules if "zilver" in name] == []
    with pytest.raises(ModuleNotFoundError):
        __import__("connectors.zilver")


@pytest.mark.parametrize("name", ["Zilver", "2be", "zil-ver", "zil ver", "../zilver", "", "class"])
def test_a_name_that_no_package_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="lower-case"):
        scaffold.create(name, tmp_path / "connectors")


def test_an_existing_connector_is_not_overwritten(folder: Path) -> None:
    (folder / "settings.py").write_text("mine")

    with pytest.raises(ValueError, match="exists already"):
        scaffold.create("zilver", folder.parent)
    assert (folder / "settings.py").read_text() == "mine"


def test_nothing_of_the_model_s_name_is_left(folder: Path) -> None:
    laid_out = [path for path in folder.parent.parent.rglob("*") if path.is_file()]

    assert len(laid_out) > 12
    assert [path.name for path in laid_out if re.search("acme", path.name + path.read_text(), re.IGNORECASE)] == []


def judged(folder: Path) -> subprocess.CompletedProcess[str]:
    """The kit and the connector's own tests, run over a laid-out connector in a project of its own."""
    home = folder.parent.parent
    (folder.parent / "__init__.py").touch()
    for name in (
        "__init__.py",
        "conformance/__init__.py",
        "conformance/adapter.py",
        "conformance/test_connectors.py",
        "connectors/__init__.py",
        "connectors/support.py",
    ):
        (home / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / "tests" / name, home / "tests" / name)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", "tests"],
        cwd=home,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(home), str(PROJECT)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_new_connector_passes_the_whole_kit_and_its_own_tests(folder: Path) -> None:
    ran = judged(folder)

    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
    assert "zilver" in str(sorted(folder.parent.parent.rglob("*zilver*")))


FLAWS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a search that finds nothing": (
        edit("payments.py", "return None if found is None else", "return None if found else"),
        "test_a_write_whose_answer_was_lost_is_unknown_and_then_found",
    ),
    "a write that makes another each time": (
        edit("payments.py", 'http.write("PUT", f"/payments/{key.uuid}"', 'http.write("PUT", f"/payments/{_NEW()}"'),
        "test_writing_twice_under_one_key_stands_once",
    ),
    "a listing that ends after its first page": (
        edit(
            "invoices.py", 'yield Page(found, {"after": after})', 'yield Page(found, {"after": after})\n        return'
        ),
        "test_a_listing_is_read_to_its_end",
    ),
    "a secret in an error": (
        edit("account.py", 'await http.get("/me")', "await _telling(http)"),
        "test_no_secret_is_told_by_an_error_or_a_log_line",
    ),
}
EXTRA = {
    "payments.py": "\n\nfrom uuid import uuid4 as _NEW\n",
    "account.py": """

async def _telling(http: Http) -> Any:
    try:
        return await http.get("/me")
    except Exception as error:
        raise ConfigError("zilver.no_company", words=str(await http._credentials.current())) from error
""",
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_the_kit_turns_red_over_a_flaw(folder: Path, flaw: str) -> None:
    spoil, caught_by = FLAWS[flaw]
    spoil(folder)
    for name, text in EXTRA.items():
        append(name, text)(folder)

    ran = judged(folder)

    assert ran.returncode == 1, ran.stdout[-2000:]
    assert f"{caught_by}[" in ran.stdout
