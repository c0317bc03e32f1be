"""Nodes of tests must not meet strangers; tests of discovery say which modes they want."""

import os

os.environ["MESHNET_DISCOVERY_MODE"] = "none"
