"""What changed between two texts, word by word."""

from __future__ import annotations

import difflib

SAME, GONE, NEW = "same", "gone", "new"
Piece = tuple[str, str]  # SAME, GONE or NEW, and words


def word_changes(before: str, after: str) -> tuple[Piece, ...]:
    """Return the pieces that lead from one text to another, in order; () where the two are equal
    or have no word in common, since there is nothing to follow then.

    Words are what white space divides. Of the text before, SAME and GONE pieces are left, of the
    text after SAME and NEW ones.
    """
    first, second = before.split(), after.split()
    if first == second or not set(first) & set(second):
        return ()
    pieces: list[Piece] = []
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for kind, start, end, begin, stop in matcher.get_opcodes():
        if kind == "equal":
            pieces.append((SAME, " ".join(first[start:end])))
            continue
        if end > start:
            pieces.append((GONE, " ".join(first[start:end])))
        if stop > begin:
            pieces.append((NEW, " ".join(second[begin:stop])))
    return tuple(pieces)
