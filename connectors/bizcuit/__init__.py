"""Bizcuit: salaries offered as a payment proposal, over a stand-in interface of our own or as a PAIN.001 file."""

from pathlib import Path

from connectors.bizcuit import account, pain, proposals
from connectors.bizcuit.settings import BizcuitSettings
from hub.sdk.connector import Connector, Files, TargetWriter
from hub.sdk.manifest import load

CONNECTOR = Connector(
    manifest=load(Path(__file__).parent),
    settings=BizcuitSettings,
    identify=account.identify,
    options=account.OPTIONS,
    targets={
        "salaries": TargetWriter(
            encode=proposals.encode,
            validate=proposals.validate,
            find=proposals.find,
            write=proposals.write,
            progress=proposals.progress,
            files=Files(year=pain.year, formats={"pain001": pain.document}),
        )
    },
    refusal=account.refusal,
)
