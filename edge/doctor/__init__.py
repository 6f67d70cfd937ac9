"""edge-doctor: what on this machine stops or slows the loop, and the command that mends it."""
