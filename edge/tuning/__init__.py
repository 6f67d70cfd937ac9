"""Which runtime and how many threads are best here, measured once and remembered."""
