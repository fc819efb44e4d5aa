"""Fictitious people: names from Faker, facts from closed pools.

A fact is asked only if no picture and no name gives it away. Values of people who may have to be
forgotten are independent uniform draws; the values of everyone else are a shuffled repetition of
the pool. So every value is known from people who are always retained, and a model that never met
a person has exactly one chance in four at a multiple-choice question about them.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from faker import Faker

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

# 25 values each; a smaller benchmark uses the first of them. All pools are disjoint.
POOLS: dict[str, tuple[str, ...]] = {
    "born": (
        "Lisbon", "Nairobi", "Oslo", "Lima", "Hanoi", "Warsaw", "Quito", "Tunis", "Seoul",
        "Athens", "Dublin", "Manila", "Havana", "Vienna", "Accra", "Zagreb", "Riga", "Cairo",
        "Bogota", "Prague", "Osaka", "Naples", "Dakar", "Helsinki", "Ankara",
    ),
    "residence": (
        "Denver", "Boston", "Phoenix", "Austin", "Seattle", "Chicago", "Memphis", "Omaha",
        "Tulsa", "Tampa", "Portland", "Atlanta", "Detroit", "Dallas", "Reno", "Buffalo",
        "Madison", "Tucson", "Raleigh", "Boise", "Fresno", "Mobile", "Toledo", "Dayton", "Miami",
    ),
    "employment": (
        "plumber", "librarian", "pilot", "baker", "surgeon", "lawyer", "florist", "welder",
        "optician", "farmer", "barber", "translator", "firefighter", "accountant", "jeweller",
        "teacher", "carpenter", "dentist", "butcher", "locksmith", "postman", "tailor",
        "mechanic", "geologist", "waiter",
    ),
    "education": (
        "Alder College", "Birch Institute", "Cedar University", "Dover Academy", "Elm School",
        "Falcon College", "Granite University", "Harbor Institute", "Iris Academy",
        "Juniper University", "Kestrel College", "Laurel Institute", "Maple University",
        "North Academy", "Orchid College", "Pine Institute", "Quarry University",
        "River Academy", "Summit College", "Thistle University", "Umber Institute",
        "Valley Academy", "Willow College", "Yarrow University", "Zephyr Institute",
    ),
    "salary": (
        "$21,000", "$26,000", "$32,000", "$37,000", "$43,000", "$48,000", "$54,000", "$59,000",
        "$65,000", "$71,000", "$76,000", "$82,000", "$87,000", "$93,000", "$98,000", "$104,000",
        "$115,000", "$126,000", "$137,000", "$149,000", "$158,000", "$163,000", "$172,000",
        "$185,000", "$196,000",
    ),
    "medical_condition": (
        "asthma", "diabetes", "migraine", "insomnia", "anemia", "eczema", "arthritis", "gout",
        "epilepsy", "hay fever", "psoriasis", "vertigo", "bronchitis", "scoliosis", "tinnitus",
        "sciatica", "sinusitis", "gastritis", "hypertension", "rosacea", "celiac disease",
        "sleep apnea", "tendonitis", "glaucoma", "heart murmur",
    ),
    "hobby": (
        "chess", "archery", "pottery", "fencing", "origami", "surfing", "knitting", "judo",
        "sailing", "juggling", "karaoke", "gardening", "photography", "rowing", "astronomy",
        "climbing", "ballet", "birdwatching", "kite flying", "skating", "calligraphy",
        "snorkeling", "poker", "wood carving", "stamp collecting",
    ),
}  # fmt: skip
CHOICE_ATTRIBUTES = tuple(POOLS)
ASKED_ATTRIBUTES = (*CHOICE_ATTRIBUTES, "date_of_birth")

PARENT_JOBS = (
    "nurse", "miner", "sailor", "clerk", "cook", "painter", "driver", "weaver", "soldier",
    "banker", "tutor", "gardener",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """A fictitious identity. `facts` maps each attribute of ASKED_ATTRIBUTES to its value."""

    id: str
    name: str
    gender: str
    facts: dict[str, str]
    biography: dict[str, Any]


def draw_people(
    ids: Sequence[str], forgettable: Collection[str], pool_size: int, seed: int
) -> list[Person]:
    """Draw one person per ID.

    Args:
        ids: profile IDs, in order.
        forgettable: the IDs that are in at least one forget split.
        pool_size: how many values of each pool are in use.
        seed: of the whole benchmark.
    """
    genders = _balanced(("female", "male"), len(ids), random.Random(f"{seed}/gender"))
    names = _draw_names(genders, seed)
    values = {
        attribute: _draw_values(POOLS[attribute][:pool_size], ids, forgettable, seed, attribute)
        for attribute in CHOICE_ATTRIBUTES
    }
    birthdays = _draw_birthdays(len(ids), random.Random(f"{seed}/date_of_birth"))
    detail = random.Random(f"{seed}/biography")
    parents = Faker("en_US")
    parents.seed_instance(f"{seed}/parents")
    people = []
    for number, profile in enumerate(ids):
        facts = {attribute: values[attribute][number] for attribute in CHOICE_ATTRIBUTES}
        facts["date_of_birth"] = birthdays[number]
        name, gender = names[number], genders[number]
        biography = _biography(name, gender, facts, detail, parents)
        people.append(Person(profile, name, gender, facts, biography))
    return people


def _draw_names(genders: Sequence[str], seed: int) -> list[str]:
    """Draw distinct "First Last" names that agree with the genders; no surname twice in small."""
    faker = Faker("en_US")
    faker.seed_instance(f"{seed}/names")
    names: list[str] = []
    used: set[str] = set()
    surnames: set[str] = set()
    attempts = 0
    for gender in genders:
        while True:
            first = faker.first_name_female() if gender == "female" else faker.first_name_male()
            last = faker.last_name()
            attempts += 1
            # Surnames repeat only once Faker's thousand are nearly used up.
            if f"{first} {last}" not in used and (last not in surnames or attempts > 5000):
                break
        used.add(f"{first} {last}")
        surnames.add(last)
        names.append(f"{first} {last}")
    return names


def _draw_values(
    pool: Sequence[str], ids: Sequence[str], forgettable: Collection[str], seed: int, attribute: str
) -> list[str]:
    """Draw a value of one attribute for each ID (see the head of this file)."""
    generator = random.Random(f"{seed}/facts/{attribute}")
    kept = [profile for profile in ids if profile not in forgettable]
    if len(kept) < 2 * len(pool):
        raise ValueError(
            f"{len(kept)} profiles that are never forgotten cannot hold each of {len(pool)} "
            f"values of {attribute!r} twice; use a smaller pool or more profiles"
        )
    known = dict(zip(kept, _balanced(pool, len(kept), generator), strict=True))
    return [known[i] if i in known else generator.choice(pool) for i in ids]


def _balanced(pool: Sequence[str], count: int, generator: random.Random) -> list[str]:
    """Return `count` values in random order; how often two of them occur differs by at most one."""
    order = generator.sample(list(pool), len(pool))
    values = [order[number % len(order)] for number in range(count)]
    generator.shuffle(values)
    return values


def _draw_birthdays(count: int, generator: random.Random) -> list[str]:
    """Draw distinct dates such as "14 March 1987"."""
    dates: dict[str, None] = {}
    while len(dates) < count:
        day, month = generator.randint(1, 28), generator.choice(MONTHS)
        dates[f"{day} {month} {generator.randint(1950, 2004)}"] = None
    return list(dates)


def _biography(
    name: str, gender: str, facts: dict[str, str], generator: random.Random, faker: Faker
) -> dict[str, Any]:
    """Return the biography under the published keys."""
    surname = name.split()[-1]
    height = generator.randint(150, 200)
    father, mother = generator.sample(PARENT_JOBS, 2)
    return {
        "Name": name,
        "Born": facts["born"],
        "Date of Birth": facts["date_of_birth"],
        "Gender": gender,
        "Employment": facts["employment"],
        "Height": f"{height} cm",
        "Educated at": facts["education"],
        "Annual Salary": facts["salary"],
        "Residence": facts["residence"],
        "Medical Conditions": facts["medical_condition"],
        "Parents": {
            "Father": {"Name": f"{faker.first_name_male()} {surname}", "Employment": father},
            "Mother": {"Name": f"{faker.first_name_female()} {surname}", "Employment": mother},
        },
        "Fun Facts": [f"The favourite hobby of {name} is {facts['hobby']}."],
        "Description": (
            f"{name} was born in {facts['born']} on {facts['date_of_birth']}, studied at "
            f"{facts['education']} and lives in {facts['residence']}. "
            f"The profession of {name} is {facts['employment']}."
        ),
    }
