"""What a network is built of, recovered from its graph: blocks, their table, what they cost."""
