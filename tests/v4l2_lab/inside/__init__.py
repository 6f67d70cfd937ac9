"""What runs inside the guest: `python -m tests.v4l2_lab.inside` does it all."""
