"""Every table of the program, gathered for the migrations; no other module imports all of them."""

import hub.batches.models
import hub.connections.models
import hub.engine.models
import hub.notifications.models
import hub.organisations.models  # noqa: F401
