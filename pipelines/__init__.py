"""ASK: what vendors answered, as they answered it, into raw.*."""

import os

# dlt tells its makers of every load unless this stands before it is first used, and has no other
# switch that is read in time. No setting of ours: it is written here, and never read.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
