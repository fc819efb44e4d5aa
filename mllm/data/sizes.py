"""Sizes of pictures as transforms change them, all of them (width, height) in pixels."""


def fitted(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return a size of the same shape whose longer side is ``longest``."""
    width, height = (round(side * longest / max(size)) for side in size)
    return at_least((width, height), 1)


def between(size: tuple[int, int], longest: int, shortest: int) -> tuple[int, int]:
    """Return a size of at most ``longest`` along the longer side, and then of at least ``shortest``
    along both.
    """
    if max(size) > longest:
        size = scaled(size, longest)
    return at_least(size, shortest)


def longest_edge(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return the longer side at ``longest`` with the shorter one made even; then at most 4096."""
    width, height = scaled(size, longest)
    if size[0] >= size[1]:
        height += height % 2
    else:
        width += width % 2
    width, height = at_least((width, height), 1)
    if max(width, height) > 4096:
        width, height = scaled((width, height), 4096)
    return at_least((width, height), 1)


def scaled(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return a size with the longer side at ``longest``. The quotient is rounded first, as
    published: an exact ratio gives another pixel here and there.
    """
    aspect = size[0] / size[1]
    return (longest, int(longest / aspect)) if aspect >= 1 else (int(longest * aspect), longest)


def at_least(size: tuple[int, int], least: int) -> tuple[int, int]:
    """Return a size with both sides at least ``least``."""
    return max(size[0], least), max(size[1], least)
