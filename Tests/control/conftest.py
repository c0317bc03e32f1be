"""Nodes of these tests meet by the control server alone."""

from __future__ import annotations

import os

os.environ["MESHNET_DISCOVERY_MODE"] = "none"
