"""Sending mail, or keeping it in a folder when there is no mail server."""

import asyncio
import os
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import make_msgid
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from hub.config import Config
from hub.kit.clock import Clock, SystemClock
from hub.kit.ids import new_id

TIMEOUT_SECONDS = 30


class MailNotSent(Exception):
    """The mail server did not take the mail; `str()` says why, without secrets."""


class Mailer:
    """Sends plain text mail through `HUB_SMTP_URL`, or writes it to `mail/*.eml` in the data folder.

    The address reads `smtp://user:password@host:587?from=hub@example.nl`; `smtps://` speaks TLS from the start,
    `smtp://` changes to TLS when the server offers it, and must when a password is sent or with `?starttls=required`.
    """

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._folder = config.data_dir / "mail"
        self._url = config.smtp_url
        query = parse_qs(urlsplit(self._url.get_secret_value()).query) if self._url else {}
        host = urlsplit(config.base_url).hostname or "localhost"
        self._domain = host if "." in host and not host.replace(".", "").isdigit() else "combihub.invalid"
        self._sender = query.get("from", [f"no-reply@{self._domain}"])[0]
        self._starttls = query.get("starttls", ["auto"])[0]

    async def send(self, to: str, subject: str, text: str) -> None:
        """Send one mail; raise `MailNotSent` when the server cannot be reached or refuses it."""
        message = self._message(to, subject, text)
        if self._url is None:
            await asyncio.to_thread(self._keep, message)
            return
        parts = urlsplit(self._url.get_secret_value())
        implicit = parts.scheme == "smtps"
        password = unquote(parts.password) if parts.password else None
        must = self._starttls == "required" or (password is not None and self._starttls != "never")
        try:
            await aiosmtplib.send(
                message,
                hostname=parts.hostname,
                port=parts.port or (465 if implicit else 587 if password else 25),
                username=unquote(parts.username) if parts.username else None,
                password=password,
                use_tls=implicit,
                start_tls=None if implicit else True if must else False if self._starttls == "never" else None,
                timeout=TIMEOUT_SECONDS,
            )
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailNotSent(f"HUB_SMTP_URL: mail to the server failed: {type(error).__name__}") from error

    def _message(self, to: str, subject: str, text: str) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = Address(display_name="Combihub", addr_spec=self._sender)
        # One address, parsed: a name with a line break or a comma cannot add headers or readers.
        message["To"] = Address(addr_spec=to)
        message["Subject"] = " ".join(subject.split())
        message["Date"] = self._clock.now()
        message["Message-ID"] = make_msgid(domain=self._domain)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        return message

    def _keep(self, message: EmailMessage) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = Path(self._folder) / f"{new_id(self._clock)}.eml"
        temporary = path.with_suffix(".part")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(bytes(message))
        temporary.rename(path)
