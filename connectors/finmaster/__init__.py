"""FinMaster: memorial entries there, over a stand-in interface of our own or as files that are imported by hand."""

from pathlib import Path

from connectors.finmaster import administration, files, journals
from connectors.finmaster.settings import FinmasterSettings
from hub.sdk.connector import Connector, TargetWriter
from hub.sdk.manifest import load

CONNECTOR = Connector(
    manifest=load(Path(__file__).parent),
    settings=FinmasterSettings,
    identify=administration.identify,
    options=administration.OPTIONS,
    master=administration.master,
    targets={
        "journals": TargetWriter(
            encode=journals.encode,
            validate=journals.validate,
            marks=journals.marks,
            find=journals.find,
            write=journals.write,
            index=journals.index,
            files=files.FILES,
        )
    },
    refusal=administration.refusal,
)
