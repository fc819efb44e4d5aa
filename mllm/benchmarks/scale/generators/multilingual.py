"""Several languages and scripts: words on signs, questions and answers that are not English."""

import random

from mllm.benchmarks.scale.draw import Canvas
from mllm.benchmarks.scale.generators.common import Truth
from mllm.benchmarks.scale.generators.icons import icon
from mllm.benchmarks.scale.generators.pairs import (
    YES_NO,
    images,
    options_of,
    phrase,
    twins,
    yes_or_no,
)
from mllm.benchmarks.scale.item import Draft

VALUES = ("1", "2", "3", "5", "7")
NUMBERS = {
    "English": ("one", "two", "three", "five", "seven"),
    "French": ("un", "deux", "trois", "cinq", "sept"),
    "German": ("eins", "zwei", "drei", "fünf", "sieben"),
    "Spanish": ("uno", "dos", "tres", "cinco", "siete"),
    "Italian": ("uno", "due", "tre", "cinque", "sette"),
    "Russian": ("один", "два", "три", "пять", "семь"),
    "Greek": ("ένα", "δύο", "τρία", "πέντε", "επτά"),
    "Georgian": ("ერთი", "ორი", "სამი", "ხუთი", "შვიდი"),
    "Armenian": ("մեկ", "երկու", "երեք", "հինգ", "յոթ"),
}
"""The numbers of `VALUES` in words."""

SCRIPTS = ("French", "Russian", "Greek", "Georgian", "Armenian")
"""Languages whose words look different from each other at a glance."""

COLOURS = ("red", "blue", "green", "yellow", "black")
COLOUR_WORDS = {
    "French": ("rouge", "bleu", "vert", "jaune", "noir"),
    "German": ("rot", "blau", "grün", "gelb", "schwarz"),
    "Spanish": ("rojo", "azul", "verde", "amarillo", "negro"),
    "Italian": ("rosso", "blu", "verde", "giallo", "nero"),
    "Russian": ("красный", "синий", "зелёный", "жёлтый", "чёрный"),
    "Greek": ("κόκκινο", "μπλε", "πράσινο", "κίτρινο", "μαύρο"),
}
COLOUR_QUESTIONS = {
    "French": (
        "De quelle couleur est la figure ?",
        "Quelle est la couleur de la figure ?",
        "Quelle couleur voyez-vous ?",
    ),
    "German": (
        "Welche Farbe hat die Figur?",
        "Was ist die Farbe der Figur?",
        "Welche Farbe sehen Sie?",
    ),
    "Spanish": (
        "¿De qué color es la figura?",
        "¿Cuál es el color de la figura?",
        "¿Qué color ve usted?",
    ),
    "Italian": (
        "Di che colore è la figura?",
        "Qual è il colore della figura?",
        "Che colore vede?",
    ),
    "Russian": (
        "Какого цвета фигура?",
        "Какой цвет у этой фигуры?",
        "Какой цвет вы видите?",
    ),
    "Greek": (
        "Τι χρώμα έχει το σχήμα;",
        "Ποιο είναι το χρώμα του σχήματος;",
        "Ποιο χρώμα βλέπετε;",
    ),
}
FIGURES = ("circle", "square", "triangle", "star", "heart", "diamond")

THINGS = ("sun", "moon", "heart", "house")
THING_WORDS = {
    "French": ("soleil", "lune", "cœur", "maison"),
    "German": ("Sonne", "Mond", "Herz", "Haus"),
    "Spanish": ("sol", "luna", "corazón", "casa"),
    "Italian": ("sole", "luna", "cuore", "casa"),
    "Russian": ("солнце", "луна", "сердце", "дом"),
    "Greek": ("ήλιος", "σελήνη", "καρδιά", "σπίτι"),
}
LEADS = {
    "French": ("Le panneau dit :", "Le dessin montre :"),
    "German": ("Auf dem Schild steht:", "Das Bild zeigt:"),
    "Spanish": ("El cartel dice:", "El dibujo muestra:"),
    "Italian": ("Il cartello dice:", "Il disegno mostra:"),
    "Russian": ("На табличке написано:", "На рисунке:"),
    "Greek": ("Η πινακίδα γράφει:", "Η εικόνα δείχνει:"),
}
"""What stands before a sign, and before a drawing."""

PLATES = (("white", "black"), ("yellow", "black"), ("blue", "white"), ("green", "white"))


def single(rng: random.Random, side: int) -> Draft:
    """Ask for a number in words, or for a colour in another language than English."""
    return rng.choice((number_word, colour_word))(rng, side)


def number_word(rng: random.Random, side: int) -> Draft:
    """Ask which number is written."""
    gold, twin = rng.sample(range(len(VALUES)), 2)
    language = rng.choice(tuple(NUMBERS))
    words = NUMBERS[language]
    plate = list(rng.choice(PLATES))
    signs = [{"word": words[k], "plate": plate} for k in (gold, twin)]
    return twins(
        rng, side, _paint, signs[:1], signs[1:], ask={"what": "number"}, kind="number",
        answers=(VALUES[gold], VALUES[twin]), candidates=VALUES, tag="F12", objects=("sign",),
        questions=(
            "Which number is written here? Answer with digits.",
            "Write the number on the sign in digits.",
            "What number does the word mean?",
        ),
    )  # fmt: skip


def colour_word(rng: random.Random, side: int) -> Draft:
    """Ask for a colour; question and options are in another language."""
    language = rng.choice(tuple(COLOUR_WORDS))
    words = COLOUR_WORDS[language]
    options, gold, twin = options_of(rng, words)
    shape = rng.choice(FIGURES)
    figures = [{"shape": shape, "colour": COLOURS[words.index(word)]} for word in (gold, twin)]
    return twins(
        rng, side, _paint, figures[:1], figures[1:], ask={"what": "colour", "language": language},
        answers=(gold, twin), options=options, tag="F12", objects=(shape,),
        questions=COLOUR_QUESTIONS[language],
    )  # fmt: skip


def several_signs(rng: random.Random, side: int) -> Draft:
    """Ask which sign means the same as the first, or which is in a language."""
    return rng.choice((same_meaning, in_language))(rng, side)


def same_meaning(rng: random.Random, side: int) -> Draft:
    """Show a word and three words in other languages: ask which means the same."""
    languages = rng.sample(tuple(NUMBERS), 4)
    numbers = rng.sample(range(len(VALUES)), 3)
    gold, twin = rng.sample(range(3), 2)
    options = images(2, 4)
    plate = list(rng.choice(PLATES))

    def truths(place: int) -> list[Truth]:
        values = (numbers[place], *numbers)
        words = [NUMBERS[name][k] for name, k in zip(languages, values, strict=True)]
        return [{"word": word, "plate": plate} for word in words]

    return twins(
        rng, side, _paint, truths(gold), truths(twin), ask={"same as": 0},
        answers=(options[gold], options[twin]), options=options, tag="F12", objects=("sign",),
        questions=(
            "Which image means the same as image 1?",
            "Which sign translates the word in image 1?",
            "Find the image with the same meaning as image 1.",
        ),
    )  # fmt: skip


def in_language(rng: random.Random, side: int) -> Draft:
    """Show the words of three scripts: ask which is in a language."""
    asked, *others = rng.sample(SCRIPTS, 3)
    gold, twin = rng.sample(range(3), 2)
    options = images(1, 3)
    plate = list(rng.choice(PLATES))

    def truths(place: int) -> list[Truth]:
        names = [*others[:place], asked, *others[place:]]
        return [{"word": rng.choice(NUMBERS[name]), "plate": plate} for name in names]

    return twins(
        rng, side, _paint, truths(gold), truths(twin), ask={"language": asked},
        answers=(options[gold], options[twin]), options=options, tag="F12", objects=("sign",),
        questions=phrase(
            (
                "Which image shows a word in {language}?",
                "Which sign is written in {language}?",
                "Find the {language} word.",
            ),
            language=asked,
        ),
    )  # fmt: skip


def sign_and_drawing(rng: random.Random, side: int) -> Draft:
    """Show a sign and a drawing, between words of its language: ask whether they agree."""
    language = rng.choice(tuple(THING_WORDS))
    plate = list(rng.choice(PLATES))
    gold, twin = yes_or_no(rng)

    def truths(answer: str) -> list[Truth]:
        word, other = rng.sample(range(len(THINGS)), 2)
        drawn = word if answer == "yes" else other
        return [
            {"word": THING_WORDS[language][word], "plate": plate},
            {"icon": THINGS[drawn]},
        ]

    pictures, leads = truths(gold), LEADS[language]
    return twins(
        rng, side, _paint, pictures, truths(twin), layout=(leads[0], 0, leads[1], 1),
        ask={"language": language}, answers=(gold, twin), tag="F12", **YES_NO,
        objects=("sign", pictures[1]["icon"]),
        questions=(
            "Does the drawing show what the sign says?",
            "Do the word and the drawing mean the same?",
            "Is the thing on the sign the thing in the drawing?",
        ),
    )  # fmt: skip


def _paint(canvas: Canvas, truth: Truth) -> None:
    """Draw a word on a plate, a coloured shape or an icon."""
    if "word" in truth:
        fill, ink = truth["plate"]
        canvas.rectangle(4, 26, 96, 74, fill, radius=8, width=2.4)
        height = min(24.0, 24 * 84 / canvas.text_width(truth["word"], 24))
        canvas.text(truth["word"], 50, 50, height, ink)
    elif "icon" in truth:
        icon(canvas, truth["icon"], 50, 50, 76)
    else:
        canvas.shape(truth["shape"], 50, 50, 64, truth["colour"])


GENERATORS = {
    ("general", "single", "multilingual"): single,
    ("general", "multi", "multilingual"): several_signs,
    ("general", "interleaved", "multilingual"): sign_and_drawing,
}
