"""Mail through a server or into the folder."""

import email
import email.policy
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr

from hub.config import Config
from hub.kit.clock import FakeClock
from hub.kit.mail import Mailer, MailNotSent

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning")

TEXT = "Beste Zoë,\n\nFactuur 2026-001 staat klaar: € 1.452,00.\n"


class Postbox:
    """Keeps what the mail server took."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name there
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.taken.append(message)
        return "250 OK"


def _login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object) -> AuthResult:
    assert isinstance(data, LoginPassword)
    right = (data.login, data.password) == (b"me@example.nl", b"p@ss/word")
    return AuthResult(success=right, handled=False)


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, int]]:
    """A mail server on this machine that wants a login."""
    handler = Postbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=port,
        authenticator=_login,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    yield handler, port
    controller.stop()


def mailer(tmp_path: Path, smtp_url: str | None) -> Mailer:
    config = Config.model_construct(data_dir=tmp_path, smtp_url=SecretStr(smtp_url) if smtp_url else None)
    return Mailer(config, FakeClock(datetime(2026, 3, 9, 12, tzinfo=UTC)))


async def test_without_a_server_each_mail_is_a_private_file(tmp_path: Path) -> None:
    await mailer(tmp_path, None).send("zoe@example.nl", "Uw koppeling vraagt aandacht", TEXT)
    await mailer(tmp_path, None).send("zoe@example.nl", "Nog een", TEXT)
    files = sorted((tmp_path / "mail").iterdir())
    assert [file.suffix for file in files] == [".eml", ".eml"]
    assert files[0].stat().st_mode & 0o077 == 0
    message = email.message_from_bytes(files[0].read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert (message["To"], message["Subject"]) == ("zoe@example.nl", "Uw koppeling vraagt aandacht")
    assert message.get_content().replace("\r\n", "\n") == TEXT


async def test_mail_goes_through_the_server_with_a_login(tmp_path: Path, postbox: tuple[Postbox, int]) -> None:
    handler, port = postbox
    url = f"smtp://me%40example.nl:p%40ss%2Fword@127.0.0.1:{port}?starttls=never&from=hub@example.nl"
    await mailer(tmp_path, url).send("zoe@example.nl", "Onderwerp", TEXT)
    (message,) = handler.taken
    assert "hub@example.nl" in message["From"]
    assert message.get_content().replace("\r\n", "\n") == TEXT
    assert not (tmp_path / "mail").exists()


async def test_a_refused_login_says_so_without_the_password(tmp_path: Path, postbox: tuple[Postbox, int]) -> None:
    _, port = postbox
    refused = mailer(tmp_path, f"smtp://me:wrong-password@127.0.0.1:{port}?starttls=never")
    with pytest.raises(MailNotSent, match="HUB_SMTP_URL") as raised:
        await refused.send("zoe@example.nl", "Onderwerp", TEXT)
    assert "wrong-password" not in str(raised.value)


async def test_a_password_is_never_sent_in_the_clear_unasked(tmp_path: Path, postbox: tuple[Postbox, int]) -> None:
    handler, port = postbox
    with pytest.raises(MailNotSent):
        await mailer(tmp_path, f"smtp://me%40example.nl:p%40ss%2Fword@127.0.0.1:{port}").send("z@example.nl", "x", TEXT)
    assert handler.taken == []


async def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MailNotSent):
        await mailer(tmp_path, "smtp://127.0.0.1:1").send("zoe@example.nl", "Onderwerp", TEXT)


async def test_a_subject_cannot_add_a_header_or_a_reader(tmp_path: Path) -> None:
    await mailer(tmp_path, None).send("zoe@example.nl", "Hallo\r\nBcc: other@example.nl", TEXT)
    (file,) = (tmp_path / "mail").iterdir()
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert message["Bcc"] is None
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the library's
        await mailer(tmp_path, None).send("zoe@example.nl, other@example.nl", "x", TEXT)
