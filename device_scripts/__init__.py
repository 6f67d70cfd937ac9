"""The commands that run on the board: arguments and wiring only."""
