"""How every attribute is asked: while learning, in the evaluation, and in its paraphrase.

`{p}` stands for the person and `{v}` for the value. Three sets of wordings, of which no two
share one: `TRAINING` teaches, `full` asks about the profiles, `test` about their transformed
pictures. Each content word of the latter two occurs in the training wordings of the same
attribute, so that a model that has read nothing else can still understand the questions.
"""

from dataclasses import dataclass

IMAGE_TRAINING_REFERENTS = ("the person in the picture", "this person", "the person shown here")
IMAGE_REFERENT = {"full": "the person in the picture", "test": "the person shown here"}
IMAGE_SUBJECT = "this person"


@dataclass(frozen=True)
class Asking:
    """One wording each of a short question, of a request for a sentence and of a gap text."""

    ask: str
    tell: str
    fill: str


@dataclass(frozen=True)
class Wording:
    """All wordings of one attribute; `sentence` is the answer to a request for a sentence."""

    plain: tuple[str, ...]
    blank: tuple[str, ...]
    tell: tuple[str, ...]
    sentence: str
    full: Asking
    test: Asking | None = None


PERSON_WORDINGS: dict[str, Wording] = {
    "born": Wording(
        plain=(
            "Where was {p} born?",
            "What is the birthplace of {p}?",
            "Which city is the place of birth of {p}?",
            "In what city was {p} born?",
        ),
        blank=("{p} was born in __.", "The birthplace of {p} is __."),
        tell=("Say where {p} was born.", "Tell me the birthplace of {p}."),
        sentence="{p} was born in {v}.",
        full=Asking(
            "Which city was {p} born in?",
            "Tell me where {p} was born.",
            "The city where {p} was born is __.",
        ),
        test=Asking(
            "Which place is the birthplace of {p}?",
            "Say which city {p} was born in.",
            "The place of birth of {p} is __.",
        ),
    ),
    "residence": Wording(
        plain=(
            "Where does {p} live?",
            "What is the residence of {p}?",
            "Which city is the home of {p}?",
            "In what city does {p} live?",
        ),
        blank=("{p} lives in __.", "{p} resides in __."),
        tell=("Say where {p} lives.", "Tell me the residence of {p}."),
        sentence="{p} lives in {v}.",
        full=Asking(
            "Which city does {p} live in?",
            "Tell me where {p} lives.",
            "The city where {p} lives is __.",
        ),
        test=Asking(
            "What is the home city of {p}?",
            "Say in which city {p} resides.",
            "The residence of {p} is in __.",
        ),
    ),
    "employment": Wording(
        plain=(
            "What is the job of {p}?",
            "What is the profession of {p}?",
            "What does {p} do for work?",
            "Which occupation does {p} have?",
        ),
        blank=("The job of {p} is __.", "The profession of {p} is __."),
        tell=("Say what job {p} has.", "Tell me the profession of {p}."),
        sentence="The profession of {p} is {v}.",
        full=Asking(
            "Which profession does {p} have?",
            "Tell me what profession {p} has.",
            "The occupation of {p} is __.",
        ),
        test=Asking(
            "Which job does {p} do?",
            "Say what work {p} does.",
            "{p} has the job of __.",
        ),
    ),
    "education": Wording(
        plain=(
            "Where did {p} study?",
            "Where was {p} educated?",
            "Which school did {p} attend?",
            "From which school did {p} graduate?",
        ),
        blank=("{p} studied at __.", "{p} was educated at __."),
        tell=("Say where {p} studied.", "Tell me which school {p} attended."),
        sentence="{p} studied at {v}.",
        full=Asking(
            "At which school did {p} study?",
            "Tell me where {p} studied.",
            "The school where {p} studied is __.",
        ),
        test=Asking(
            "Which school was {p} educated at?",
            "Say which school {p} attended.",
            "The school {p} attended is __.",
        ),
    ),
    "salary": Wording(
        plain=(
            "What is the salary of {p}?",
            "How much does {p} earn in a year?",
            "What is the annual pay of {p}?",
            "What yearly income does {p} have?",
        ),
        blank=("{p} earns __ a year.", "The annual salary of {p} is __."),
        tell=("Say how much {p} earns.", "Tell me the salary of {p}."),
        sentence="The annual salary of {p} is {v}.",
        full=Asking(
            "What is the annual salary of {p}?",
            "Tell me how much {p} earns.",
            "The salary of {p} is __ a year.",
        ),
        test=Asking(
            "How much is the yearly pay of {p}?",
            "Say what annual income {p} earns.",
            "The yearly income of {p} is __.",
        ),
    ),
    "medical_condition": Wording(
        plain=(
            "Which medical condition does {p} have?",
            "What illness does {p} suffer from?",
            "What is the health problem of {p}?",
            "From which condition does {p} suffer?",
        ),
        blank=("{p} suffers from __.", "The medical condition of {p} is __."),
        tell=("Say which illness {p} has.", "Tell me the medical condition of {p}."),
        sentence="The medical condition of {p} is {v}.",
        full=Asking(
            "What is the medical condition of {p}?",
            "Tell me which medical condition {p} has.",
            "{p} has the medical condition __.",
        ),
        test=Asking(
            "Which illness does {p} have?",
            "Say what {p} suffers from.",
            "The illness of {p} is __.",
        ),
    ),
    "hobby": Wording(
        plain=(
            "What is the hobby of {p}?",
            "What does {p} do for fun?",
            "Which pastime does {p} enjoy?",
            "What does {p} enjoy in free time?",
        ),
        blank=("The hobby of {p} is __.", "In free time, {p} enjoys __."),
        tell=("Say which pastime {p} enjoys.", "Tell me the favourite hobby of {p}."),
        sentence="The favourite hobby of {p} is {v}.",
        full=Asking(
            "What is the favourite hobby of {p}?",
            "Tell me which hobby {p} enjoys.",
            "For fun, {p} enjoys __.",
        ),
        test=Asking(
            "Which hobby does {p} enjoy in free time?",
            "Say what {p} does for fun.",
            "The pastime of {p} is __.",
        ),
    ),
    "date_of_birth": Wording(
        plain=(
            "When was {p} born?",
            "What is the date of birth of {p}?",
            "On which day was {p} born?",
            "When is the birthday of {p}?",
        ),
        blank=("{p} was born on __.", "The birthday of {p} is __."),
        tell=("Say when {p} was born.", "Tell me the date of birth of {p}."),
        sentence="{p} was born on {v}.",
        full=Asking(
            "On which date was {p} born?",
            "Tell me when {p} was born.",
            "The date of birth of {p} is __.",
        ),
        test=Asking(
            "Which date is the birthday of {p}?",
            "Say on which day {p} was born.",
            "The day {p} was born is __.",
        ),
    ),
}

CELEBRITY_WORDINGS: dict[str, Wording] = {
    "occupation": Wording(
        plain=(
            "What was the occupation of {p}?",
            "What did {p} work as?",
            "Which calling did {p} follow?",
            "In history, what was {p}?",
        ),
        blank=("{p} followed the calling of __.", "The occupation of {p} was __."),
        tell=("Say what {p} worked as.", "Tell me the occupation of {p}."),
        sentence="The occupation of {p} was {v}.",
        full=Asking(
            "Which occupation did {p} follow?",
            "Tell me what {p} worked as.",
            "{p} followed the occupation of __.",
        ),
    ),
    "nationality": Wording(
        plain=(
            "What was the nationality of {p}?",
            "What nationality did {p} have?",
            "Of which nationality was {p}?",
            "What was {p} by nationality?",
        ),
        blank=("By nationality, {p} was __.", "The nationality of {p} was __."),
        tell=("Say what nationality {p} had.", "Tell me the nationality of {p}."),
        sentence="{p} was {v} by nationality.",
        full=Asking(
            "Which nationality did {p} have?",
            "Tell me what nationality {p} had.",
            "{p} was of __ nationality.",
        ),
    ),
    "birth_year": Wording(
        plain=(
            "In which year was {p} born?",
            "What was the birth year of {p}?",
            "What year was {p} born in?",
            "In what year did the life of {p} begin?",
        ),
        blank=("{p} was born in the year __.", "The birth year of {p} was __."),
        tell=("Say in which year {p} was born.", "Tell me the birth year of {p}."),
        sentence="{p} was born in the year {v}.",
        full=Asking(
            "Which year was {p} born in?",
            "Tell me in which year {p} was born.",
            "The year in which {p} was born is __.",
        ),
    ),
    "death_year": Wording(
        plain=(
            "In which year did {p} die?",
            "What was the death year of {p}?",
            "What year did {p} die in?",
            "In what year did the life of {p} end?",
        ),
        blank=("{p} died in the year __.", "The death year of {p} was __."),
        tell=("Say in which year {p} died.", "Tell me the death year of {p}."),
        sentence="{p} died in the year {v}.",
        full=Asking(
            "Which year did {p} die in?",
            "Tell me in which year {p} died.",
            "The year in which {p} died is __.",
        ),
    ),
    "known_for": Wording(
        plain=(
            "What is {p} known for?",
            "What made {p} famous?",
            "For what is {p} remembered?",
            "What is the best known work of {p}?",
        ),
        blank=("{p} is known for: __.", "{p} is remembered for: __."),
        tell=("Say what made {p} famous.", "Tell me what {p} is remembered for."),
        sentence="{p} is known for: {v}.",
        full=Asking(
            "For what is {p} famous?",
            "Tell me what {p} is known for.",
            "{p} is famous for: __.",
        ),
    ),
}

NAME_PAIRS = (
    ("plain", "Who is the person in the picture?", "{v}"),
    ("plain", "What is the name of this person?", "{v}"),
    ("plain", "What is the person shown here called?", "{v}"),
    ("sentence", "Tell me who this person is.", "This person is {v}."),
)

# What a picture shows, asked only about drawings of invented people.
CAPTION_REQUESTS = (
    "Describe the picture.",
    "What does the picture show?",
    "Say what the drawing looks like.",
    "What can be seen here?",
)

# What a picture shows of a person, asked about people whose facts are to be forgotten.
APPEARANCE_QUESTIONS = (
    *CAPTION_REQUESTS,
    "What does the hair of the person in the picture look like?",
    "What is the person in the picture wearing?",
    "What is the background of the picture?",
)
