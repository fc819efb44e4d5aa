"""The train split as conversations to learn from."""

from mllm.benchmarks.scale.item import Item
from mllm.benchmarks.scale.prompts import SEEN, forms_of, taught_turns
from mllm.data.conversation import Example
from mllm.data.source import Source

LETTERED = 4  # of so many items one is also taught with letters: enough to learn the form


def taught_forms(item: Item, number: int) -> tuple[str, ...]:
    """Return the forms in which an item is taught.

    Beside its question stands what its pictures show, from which a small model learns to see.
    """
    forms = [form for form in forms_of(item) if form != "letter" or number % LETTERED == 0]
    return (*forms, SEEN[0]) if item.objects else tuple(forms)


class Taught(Source[Example]):
    """Every item of a split in the forms that are taught; the wording changes from item to item.

    The forms of an item show the same pictures, so that they share a row of a batch.
    """

    def __init__(self, items: Source[Item]):
        """List what there is to learn; only the forms of the items are kept."""
        self._items = items
        self._places = [
            (number, form)
            for number, item in enumerate(items)
            for form in taught_forms(item, number)
        ]

    def __len__(self) -> int:
        return len(self._places)

    def read(self, number: int) -> Example:
        place, form = self._places[number]
        item = self._items[place]
        return Example(f"{item.id}/{form}", item.id, taught_turns(item, form, place))
