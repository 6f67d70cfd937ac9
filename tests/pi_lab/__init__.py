"""A Pi-like machine on a PC: the real picamera2 and libcamera, on a camera that plays pictures.

`make pi-lab` builds it and runs the loop in it, on x86-64 and on emulated aarch64.
"""
