"""A PC with a V4L2 camera and clocks of its own: what fakes and files cannot show.

`make v4l2-lab` boots it in an emulator and runs the loop in it, on the kernel's vivid camera.
"""
