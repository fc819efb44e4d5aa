"""How far a model is from the ideal: what tuning chooses by, and what the report ranks by."""

from typing import TypeVar

import numpy as np

# What it is read from: multiple choice by option text, averaged over both modalities.
TASK, METRIC = "classification", "accuracy_text"
FORGET, UTILITY_SETS = "forget", ("retain", "celebrity")
Number = TypeVar("Number", float, np.ndarray)


def distances(
    forget: Number, goal: Number, useful: Number, before: Number
) -> tuple[Number, Number, Number]:
    """Return how far the accuracy on the forget set is from its goal, how much utility is lost, and
    the sum of the two; of fractions of 1, or of arrays of them.

    Args:
      forget: accuracy on the forget set. goal: that of retain-only.
      useful: accuracy on the sets to be remembered. before: that of vanilla.
    """
    away, lost = abs(forget - goal), np.maximum(0.0, before - useful)
    return away, lost, away + lost
