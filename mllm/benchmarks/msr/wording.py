"""What prompts say, word by word.

Source of the published strings: github.com/YuyangYe/MLLM-MSR at bb270c6, the scripts of image
summaries, of recurrent preferences, and of training and testing the recommender. They are protocol
constants and stand here as they are there, missing spaces included. In the source each prompt also
has ``[INST]`` and ``[/INST]`` around it, which ``prompts`` writes or leaves to the chat format. The
source has no strings for products; these say "product" where the published ones say "video".
"""

from dataclasses import dataclass, fields, replace

from mllm.evaluation.yes_no import NO, YES
from mllm.registry import lookup

ROLE = (
    "As a vision-llm, you will be given the cover image and the title of a video and the "
    "summarized preference of a user, and your task is to predict whether the user would interact "
    "with the video."
)
"""The sentence that a figure of the paper adds to the recommender's prompt."""


@dataclass(frozen=True)
class Wording:
    """The parts of all prompts; names in braces are filled in.

    Attributes:
      picture: asks for a summary of an item's picture. text: of its title and description.
      fused: of both summaries.
      header: begins a prompt about items. line: one item, with its place, ID, title and summary;
        bare: without its summary; untitled: without its title.
      first: follows the items of a first block. later: those of a later one, with the answer to
        the block before it.
      tail: ends prompts about the items of a block; single: those about all items at once.
      start: how an answer begins.
      based: begins the recommender's prompt. predict, title, only: follow it. described: follows
        the title where the candidate's summary is shown too, which the source does not do.
      common: asks instead what preference and candidate have in common; it is of no source, and
        only models that are taught here are asked it.
    """

    picture: str
    text: str
    fused: str
    header: str
    line: str
    bare: str
    untitled: str
    first: str
    later: str
    single: str
    tail: str
    start: str
    based: str
    predict: str
    title: str
    described: str
    only: str
    common: str


START = "Likes"
_START = "The user appears to have a preference for"
_TAIL = (
    "Only provide information about the user's preferences; do not repeat details about the "
    "previously watched videos. Do not repeat the question in your answer, and keep clear and "
    f"concise.The answer should start with '{_START}'."
)
PUBLISHED = Wording(
    picture=(
        "Please describe this image, which is a cover of a video. Provide a detailed description "
        "in one continuous paragraph, including content information and visual features such as "
        "colors, objects, text, and any notable elements present in the image."
    ),
    # The paper describes these two prompts, but their words are not published.
    text=(
        "Please summarize the title and the description of this video in one continuous paragraph. "
        "Title: '{title}'. Description: {description}"
    ),
    fused=(
        "Please combine the two summaries of one video into one continuous paragraph. "
        "Text: {text} Cover: {picture}"
    ),
    header="Below is a chronological list of videos previously watched by User {user}:\n",
    line="{place}. {item}: Title - '{title}', Video cover description - {summary}.\n",
    bare="{place}. {item}: Title - '{title}'.\n",
    untitled="{place}. {item}: Video cover description - {summary}.\n",
    first="Based on the content and visual style of videos listed above, ",
    later=(
        "We also know this user's previous preference.\n {before}\nBased on the content and visual "
        "style of videos listed above as well as the known aspects of user's preference, "
    ),
    single=(
        "please summarize the user's preferences in terms of both content and visual style in one "
        "line. " + _TAIL
    ),
    tail="please summarize the user's preferences in one continuous paragraph. " + _TAIL,
    start=_START,
    based=(
        "Based on the previous interaction history, the user's preference can be summarized as: "
        "{preference}"
    ),
    predict=(
        "Please predict whether this user would interact with the video at the next opportunity. "
    ),
    title="The video's title is'{title}', and the given image is this video's cover? ",
    described="The cover can be described as: {summary} ",
    only=(
        "Please only response 'yes' or 'no' based on your judgement, do not include any other "
        "content including words, space, and punctuations in your response. "
    ),
    common="What do the user's preference and the video have in common? ",
)
# Of the same parts in few words, for models that are taught here: a small model reads an
# instruction that never changes for nothing.
BRIEF = Wording(
    picture="The cover shows",
    text="Title: {title}. {description} In short:",
    fused="{text} {picture} In short:",
    header="User {user}:\n",
    line="{place}. {title}: {summary}.\n",
    bare="{place}. {title}.\n",
    untitled="{place}. {summary}.\n",
    first="",
    later="Before: {before}\n",
    single="Now:",
    tail="Now:",
    start=START,
    based="{preference}\n",
    predict="",
    title="{title}",
    described=": {summary}",
    only="",
    common="",  # a recommender says yes or no where the summariser says what there is in common
)


def _of_products() -> Wording:
    said = {field.name: getattr(PUBLISHED, field.name) for field in fields(PUBLISHED)}
    words = {
        "a cover of a video": "a picture of a product",
        "Video cover description": "Product picture description",
        "previously watched": "previously bought",
        "video's cover": "product's picture",
        "video": "product",
    }
    for name, text in said.items():
        for old, new in words.items():
            text = text.replace(old, new)
        said[name] = text
    return replace(PUBLISHED, **said)


WORDINGS = {"published": PUBLISHED, "products": _of_products(), "brief": BRIEF}


def wording_of(name: str) -> Wording:
    """Return the wording of a name.

    Raises:
      ValueError: there is no such wording; the message names the nearest one.
    """
    return lookup(WORDINGS, name, "wording (config.prompts.wording)")


def texts() -> list[str]:
    """Return what all prompts say besides the words of items and users, for a tokenizer.

    The brief parts come often, since models that are taught here read them.
    """
    said = []
    for wording, times in ((PUBLISHED, 1), (BRIEF, 20)):
        for field in fields(wording):
            text = getattr(wording, field.name)
            said += [text.format_map(_Nothing())] * times if text else []
    chat = [f"USER: {START}\nASSISTANT: {one}" for one in (*YES, *NO, START)]
    return [*said, *chat * 20]


class _Nothing(dict):
    def __missing__(self, name: str) -> str:
        return ""
