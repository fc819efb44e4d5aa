"""Prompts as conversations: the sound comes first, then the text.

A relation question is the same text in every condition. Conditions differ only in the evidence
before it, so that a difference between them is not one of wording:

    T    the label of a sound, as text     "This sound is labelled: grouse."
    A    a sound
    AT   the sound and its label
    C    the model's own caption of the sound, as text
    R    the sound of another clip
"""

from collections.abc import Sequence

from mllm.data.conversation import Turn, audio, user

CONDITIONS = ("T", "A", "AT", "C", "R")
HEARD = ("A", "AT", "R")  # conditions that play a sound
LABELLED = ("T", "AT")  # conditions that name the label

# Of LTU (Gong et al. 2024, arXiv:2305.10790).
CAPTION = "Close-ended question: Write an audio caption describing the sound."
CLASSIFY = "Close-ended question: Classify the sound events in the audio."
# Wordings of a caption that names what is heard; the first is the reference.
CAPTIONS = (
    "The sound of {}.",
    "This is the sound of {}.",
    "We hear {}.",
    "{} can be heard.",
)
LABEL = "sound of {}"  # the text that stands for a class when captions are compared (LTU)

QUESTION = "Is this the sound of {}? Answer yes or no."
KIND = "Is {} a kind of {}? Answer yes or no."
YES, NO = "yes", "no"  # as an assistant is taught to say them
LABEL_EVIDENCE = "This sound is labelled: {}."
CAPTION_EVIDENCE = "This sound is described as: {}"


def about_sound(sound: bytes, text: str) -> tuple[Turn, ...]:
    """Return the conversation that plays a sound and ends with a text."""
    return (user(audio(sound), text),)


def about_caption(caption: str, text: str) -> tuple[Turn, ...]:
    """Return the conversation that gives a caption in place of a sound, and ends with a text."""
    return (user(f"{CAPTION_EVIDENCE.format(caption)} {text}"),)


def listed(names: Sequence[str]) -> str:
    """Return names as one phrase, such as "rain, wind and grouse"."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def caption_of(tags: Sequence[str], wording: int = 0) -> str:
    """Return a caption that names the tags of a clip, loudest first.

    Args:
      wording: a place in ``CAPTIONS``; 0 is the reference.
    """
    said = CAPTIONS[wording].format(listed(tags))
    return said[0].upper() + said[1:]


def label_text(name: str) -> str:
    """Return the text that a caption is compared with to find a class."""
    return LABEL.format(name.lower())


def question_of(term: str) -> str:
    """Return the question whether a sound is that of a term."""
    return QUESTION.format(term)


def kind_question(name: str, term: str) -> str:
    """Return the question about words alone: whether one is a kind of the other."""
    return KIND.format(name, term)


def relation_turns(
    condition: str, term: str, *, sound: bytes = b"", label: str = "", caption: str = ""
) -> tuple[Turn, ...]:
    """Return a relation question under a condition.

    Args:
      sound: that is played in A, AT and R. label: that is named in T and AT.
      caption: of the model, read in C.
    """
    text = question_of(term)
    if condition == "C":
        return about_caption(caption, text)
    if condition in LABELLED:
        text = f"{LABEL_EVIDENCE.format(label)} {text}"
    return about_sound(sound, text) if condition in HEARD else (user(text),)
