"""How property tests choose their examples."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples every time, so that a run says something about the change and not about luck;
# HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
