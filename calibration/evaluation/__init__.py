"""edge-evaluate: any models on one labelled folder, and what changed from the float one."""
