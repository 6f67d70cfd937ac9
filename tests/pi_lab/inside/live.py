"""Runs the loop's script as it is, with the arguments it would be given on a Pi."""

from __future__ import annotations

import runpy

from tests.pi_lab.inside.virtual_camera import adapt

SCRIPT = "/repository/device_scripts/live_classify.py"

if __name__ == "__main__":
    adapt()
    runpy.run_path(SCRIPT, run_name="__main__")
