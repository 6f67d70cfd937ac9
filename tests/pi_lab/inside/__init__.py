"""What runs inside the lab's machines, as `python -m tests.pi_lab.inside.NAME`."""
