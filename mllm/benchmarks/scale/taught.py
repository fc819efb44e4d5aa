"""The train split as conversations to learn from."""

from mllm.benchmarks.scale.item import Item
from mllm.benchmarks.scale.prompts import forms_of, taught_turns
from mllm.data.conversation import Example
from mllm.data.source import Source


class Taught(Source[Example]):
    """Every item of a split in each of its forms; the wording changes from item to item.

    The forms of an item show the same pictures, so that they share a row of a batch.
    """

    def __init__(self, items: Source[Item]):
        """List what there is to learn; only the kinds of the items are kept."""
        self._items = items
        self._places = [
            (number, form) for number, item in enumerate(items) for form in forms_of(item)
        ]

    def __len__(self) -> int:
        return len(self._places)

    def read(self, number: int) -> Example:
        place, form = self._places[number]
        item = self._items[place]
        return Example(f"{item.id}/{form}", item.id, taught_turns(item, form, place))
