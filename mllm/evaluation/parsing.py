"""Reading replies: the state of an answer, and the option it chooses. Nothing is ever guessed.

English only: refusals and the words around a chosen letter are recognised in English.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping

# Openings after which a refusal may follow, and the refusals themselves, in normalised text (see
# ``normalise``: lower case, no apostrophes, no punctuation). Both must stand at the very start of
# the reply: "She sang I Don't Know How to Love Him" answers, "I don't know." does not.
REFUSAL_OPENINGS = (
    r"(?:i am|im) (?:very |so |really |truly )?sorry",
    r"sorry",
    r"(?:i )?apologi[sz]e(?: for (?:the|any) (?:confusion|inconvenience))?",
    r"my apologies",
    r"unfortunately",
    r"as an? (?:ai|artificial intelligence|language model|assistant)"
    r"(?: (?:language )?(?:model|assistant))?",
    r"but",
    r"however",
    r"no",
)
_VERBS = (
    r"(?:answer|provide|give|help (?:you|with)|assist|identify|recogni[sz]e|share|disclose|reveal|"
    r"determine|tell|generate|say|comment|discuss|offer|confirm|verify|comply|fulfil|fulfill|"
    r"respond|do that|do this|access|infer|name|know|see)"
)
REFUSALS = (
    rf"i (?:cannot|can not|cant|could not|couldnt|will not|wont|must not) {_VERBS}",
    rf"(?:i am|im) (?:unable|not able|not allowed|not permitted|not authori[sz]ed) to {_VERBS}",
    rf"(?:unable|not able) to {_VERBS}",
    r"i (?:do not|dont) (?:really )?know(?! but)",
    r"i (?:do not|dont) have (?:access|enough|sufficient)",
    r"i (?:do not|dont) have (?:any |the )?(?:idea|information|details|knowledge|data)",
    r"i (?:have no|lack) (?:idea|information|knowledge|data|access)",
    r"i (?:would )?(?:prefer|rather) not (?:to )?(?:answer|say|provide|share|disclose|comment)",
    r"id rather not",
    r"i (?:must |have to )?(?:decline|refuse)",
    r"(?:it is|its) (?:not (?:possible|appropriate)|impossible|inappropriate)(?: for me)? to "
    rf"{_VERBS}",
    r"(?:there is )?(?:no|not enough|insufficient) (?:personal )?information (?:is )?"
    r"(?:available|provided|given|to answer)",
    r"(?:the |this |that |personal )*information (?:is|was) (?:not |un)"
    r"(?:available|provided|given|known)",
    r"personal (?:related )?information (?:cannot|can not|should not|will not) be",
)
# Replies that refuse only when they are the whole reply.
WHOLE_REFUSALS = (
    r"(?:i am |im )?(?:very |so )?sorry",
    r"(?:i am |im |its |it is )?(?:not sure|unsure|uncertain)",
    r"(?:the answer is |it is |its |this is )?(?:unknown|not known|unclear|unanswerable)",
    r"no (?:idea|comment|answer)",
    r"n a",
    r"(?:i )?(?:cannot|can not|cant) (?:answer|say|tell)",
)
_OPENED_REFUSAL = re.compile(rf"(?:(?:{'|'.join(REFUSAL_OPENINGS)})\s)*(?:{'|'.join(REFUSALS)})\b")
_WHOLE_REFUSAL = re.compile("|".join(WHOLE_REFUSALS))

_SPECIAL_TOKEN = re.compile(r"<\|?/?[A-Za-z_][\w-]*\|?>|\[(?:PAD|UNK|CLS|SEP|MASK|BOS|EOS)\]")
_GROUPED_DIGITS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_CHARACTER_LOOP = re.compile(r"(.{1,4}?)\1{7,}", re.DOTALL)


def normalise(text: str) -> str:
    """Bring two spellings of one answer together; the rule of every exact comparison.

    NFKC, then casefold. Apostrophes and invisible characters vanish; a comma between groups of
    digits vanishes ("85,000" is "85000"), a point between digits and a minus before a number stay;
    every other punctuation mark, currency sign, modifier symbol and control character becomes a
    space; white space collapses. Letters of every script, digits, accents and other symbols ("+",
    "°") stay; articles stay, since "a" is also an option.
    """
    text = unicodedata.normalize("NFKC", text).casefold().replace("\N{MINUS SIGN}", "-")
    text = _GROUPED_DIGITS.sub("", text)
    kept = []
    for at, character in enumerate(text):
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        category = unicodedata.category(character)
        if character in "'\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}":
            continue
        if category == "Cf" or character == "\N{REPLACEMENT CHARACTER}":
            continue
        decimal = character == "." and before.isdigit() and after.isdigit()
        negative = character == "-" and after.isdigit() and not before.isalnum()
        separates = category[0] in "PZC" or category in ("Sc", "Sk")
        kept.append(" " if separates and not decimal and not negative else character)
    return " ".join("".join(kept).split())


def answer_state(text: str, *, ended: bool) -> str:
    """Classify a reply as "valid", "refusal" or "invalid", whether or not it is right.

    invalid: nothing but white space, punctuation, symbols and special tokens, or degenerate text
    (see ``is_degenerate``). refusal: the reply opens with one of ``REFUSALS`` (possibly after an
    apology or another of ``REFUSAL_OPENINGS``), or is as a whole one of ``WHOLE_REFUSALS``. A
    refusal after an answer ("Paris. I cannot say more.") and a doubt before one ("I don't know, but
    perhaps Paris") are valid. The fourth state, "error", is the runner's: the model gave no reply
    at all.

    Args:
      text: the reply.
      ended: False where the reply was cut off at the limit of new tokens.
    """
    words = normalise(_SPECIAL_TOKEN.sub(" ", text))
    if not any(character.isalnum() for character in words) or is_degenerate(words, ended=ended):
        return "invalid"
    if _OPENED_REFUSAL.match(words) or _WHOLE_REFUSAL.fullmatch(words):
        return "refusal"
    return "valid"


def is_degenerate(words: str, *, ended: bool) -> bool:
    """Say whether normalised text is a loop rather than an answer. Any of four rules is enough:

    1. a unit of 1 to 16 words repeats at least 4 times in a row, and its repetitions hold at least
       half of the words;
    2. the reply was cut off (``ended`` is False) in the middle of a loop: up to the last word, or
       the last but one, a unit of 1 to 16 words had repeated at least 3 times in a row;
    3. it has at least 20 words, and fewer than a fifth of them are distinct;
    4. a unit of 1 to 4 characters, not only digits, repeats at least 8 times in a row, and its
       repetitions hold at least half of the characters.
    """
    sequence = words.split()
    for unit in range(1, min(16, len(sequence) // 3) + 1):
        longest, at_end = _runs(sequence, unit)
        if longest >= 4 * unit and 2 * longest >= len(sequence):
            return True
        # the last word of a reply that was cut off may be a fragment of one
        if not ended and max(at_end, _runs(sequence[:-1], unit)[1]) >= 3 * unit:
            return True
    if len(sequence) >= 20 and 5 * len(set(sequence)) < len(sequence):
        return True
    return any(
        2 * len(loop[0]) >= len(words) and not loop[1].strip().isdigit()
        for loop in _CHARACTER_LOOP.finditer(words)
    )


def _runs(sequence: list[str], unit: int) -> tuple[int, int]:
    """Words in the longest stretch of period ``unit``, and in the one that reaches the end."""
    longest = matches = 0
    for at in range(unit, len(sequence)):
        matches = matches + 1 if sequence[at] == sequence[at - unit] else 0
        longest = max(longest, matches)
    return (longest + unit if longest else 0), (matches + unit if matches else 0)


def parse_choice(reply: str, options: Mapping[str, str]) -> str | None:
    """Read the letter that a reply chooses, by the strict rule, or None.

    The first line that is not empty decides. It chooses an option if it is

    - the letter alone, in either case, with any brackets, quotes or marks around it: ``B``,
      ``(b)``, ``**B.**``;
    - the capital letter after an announcement: ``Answer: B``, ``The correct answer is (B).``,
      ``Option B``;
    - either of these with one of the marks ``. ) ] : , -`` and then that same option's text:
      ``B. Paris``;
    - the text of exactly one option, both sides in the form that ``normalise`` gives.

    Anything else chooses nothing: "According to ...", "Based on ...", "a dog", "B is wrong", "A or
    B", "B. London" where London is another option. So does a reply one of whose later lines chooses
    another option: a list of all options is no choice.

    Args:
      reply: the reply, without the prompt.
      options: text by letter; letters are single capitals.
    """
    lines = [line for line in _SPECIAL_TOKEN.sub(" ", reply).splitlines() if line.strip()]
    if not lines:
        return None
    choice = _choice_of_line(lines[0], options)
    others = (_choice_of_line(line, options) for line in lines[1:])
    return None if any(other not in (None, choice) for other in others) else choice


def _choice_of_line(line: str, options: Mapping[str, str]) -> str | None:
    text = normalise(line)
    readings = [letter for letter, option in options.items() if text and normalise(option) == text]
    if text.upper() in options:
        readings.append(text.upper())
    if readings:
        return readings[0] if len(set(readings)) == 1 else None
    found = _LETTER.fullmatch(unicodedata.normalize("NFKC", line).strip())
    if not found or found["letter"] not in options:
        return None
    rest = normalise(found["rest"] or "")
    return found["letter"] if rest in ("", normalise(options[found["letter"]])) else None


_LETTER = re.compile(
    r"""[\s*_"'`]*
    (?:
      (?i:(?:the\s+)?(?:correct\s+|right\s+|best\s+|final\s+)?(?:answer|option|choice)(?:\s+is)?)
      \s*[:\-]?
    )?
    [\s*_"'`(\[]*
    (?P<letter>[A-Z])
    (?:[*_"'`]*[.)\]:,\-][\s*_"'`]*(?P<rest>.*)|[\s*_"'`]*)""",
    re.VERBOSE | re.DOTALL,
)


def first_char(reply: str, options: Mapping[str, str]) -> str | None:
    """Return the first character, upper-cased, if it is an option's letter.

    A published script reads so. It takes "According to ..." for A and "Don't know" for D: use it
    only to reproduce that script.
    """
    letter = reply.strip()[:1].upper()
    return letter if letter in options else None


def json_object(text: str) -> dict | None:
    """Return the JSON object that the text is, None where it is not one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


CHOICE_RULES: dict[str, Callable[[str, Mapping[str, str]], str | None]] = {
    "strict": parse_choice,
    "first_char": first_char,
}
