"""Nodes of tests must not meet strangers; tests of discovery say which modes they want."""

import os

os.environ["MESHNET_DISCOVERY_MODE"] = "none"
# Each run is somebody else, and nobody's own key is touched: tests of the key that stays say so.
os.environ["MESHNET_EPHEMERAL"] = "1"
