"""Times as files have them."""

import math
from datetime import UTC, datetime


def time_of(where: str, key: str, value: object) -> int:
    """Return a time as an integer that grows with it.

    Args:
      value: a number, or a text that holds a number or a date of ISO 8601, which becomes seconds
        since 1970 (UTC where it names no zone).

    Raises:
      ValueError: it is neither.
    """
    try:
        if type(value) is int or (isinstance(value, str) and value.strip().isdecimal()):
            return int(value)
        number = float(value) if type(value) in (float, str) else math.nan
        if math.isfinite(number):
            return math.floor(number)
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(str(value).strip())
    except ValueError:
        raise ValueError(
            f"{where}: {key}: expected a number or a date such as 2024-05-31T12:00, found {value!r}"
        ) from None
    return math.floor((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
