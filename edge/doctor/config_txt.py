"""What the firmware's config.txt says to this board.

(https://www.raspberrypi.com/documentation/computers/config_txt.html)
"""

from __future__ import annotations

# A section's lines count on these boards alone, by the beginning of their names.
SECTIONS = {
    "all": "",
    "pi3": "Raspberry Pi 3",
    "pi4": "Raspberry Pi 4",
    "pi5": "Raspberry Pi 5",
    "pi02": "Raspberry Pi Zero 2",
    "cm4": "Raspberry Pi Compute Module 4",
    "cm5": "Raspberry Pi Compute Module 5",
}


def settings(text: str, model: str) -> list[tuple[str, str]]:
    """Return the names and values that count on the board `model`, in the file's order.

    A section that is not known (of a display, a serial number, ...) counts on no board.
    """
    found = []
    counts = True
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith("["):
            begin = SECTIONS.get(line.strip("[]").strip().lower())
            counts = begin is not None and model.startswith(begin)
        elif counts and "=" in line:
            name, _, value = line.partition("=")
            found.append((name.strip(), value.strip()))
    return found
