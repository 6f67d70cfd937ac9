"""Reads what pages in Markdown tell a user to type, and what they show."""

from __future__ import annotations


def fenced(text: str, wanted: str = "") -> list[str]:
    """Return the lines of a page's fenced blocks in one language, "" for those without one."""
    lines, language = [], None
    for line in text.splitlines():
        if line.startswith("```"):
            language = None if language is not None else line[3:]
        elif language == wanted:
            lines.append(line)
    return lines
