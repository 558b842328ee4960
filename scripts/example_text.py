"""Endless small paragraphs, half Azerbaijani and half English, for the example model to learn.

The sentences come from a hand-written grammar about school, family, markets, animals, weather and numbers. What they
say hangs together: sums are right, prices multiply, the animal of the first sentence comes back as a pronoun in the
second, suffixes follow vowel harmony. So a model that only counts words cannot predict them, and one that looks back
can. The text is our own and falls under the licence of the project.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from example_suffixes import TWOFOLD, at, is_, its, last_vowel, many, of, sentence, than, the, to
from example_words import (
    AZ_ANIMALS,
    AZ_DAYS,
    AZ_FURNITURE,
    AZ_GOODS,
    AZ_LESSONS,
    AZ_ONES,
    AZ_ORDINALS,
    AZ_PEOPLE,
    AZ_PLACES,
    AZ_SEASONS,
    AZ_SIDES,
    AZ_SIZES,
    AZ_TENS,
    AZ_THINGS,
    AZ_WEATHER,
    AZ_WORK,
    EN_ANIMALS,
    EN_COLOURS,
    EN_DAYS,
    EN_GOODS,
    EN_ONES,
    EN_PEOPLE,
    EN_PLACES,
    EN_SIZES,
    EN_TENS,
    EN_WEATHER,
    EN_WORK,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# ---------------------------------------------------------------------------------------- Azerbaijani


def az_number(value: int) -> str:
    """A number from 1 to 99 in words."""
    return " ".join(filter(None, (AZ_TENS[value // 10], AZ_ONES[value % 10])))


def az_gift(rng: Random) -> str:
    """Somebody has some, gets or sells some, and has as many as that makes."""
    person, other = rng.sample(AZ_PEOPLE, 2)
    thing, have, change = rng.choice(AZ_GOODS), rng.randint(2, 9), rng.randint(1, 9)
    start = f"{sentence(of(person))} {az_number(have)} {its(thing)} var."
    if change < have and rng.randint(0, 1):
        return (
            f"{start} O, {az_number(change)} {thing} satır. "
            f"İndi {of(person)} {az_number(have - change)} {its(thing)} var."
        )
    return (
        f"{start} {sentence(other)} ona {az_number(change)} {thing} verir. "
        f"İndi {of(person)} {az_number(have + change)} {its(thing)} var."
    )


def az_sum(rng: Random) -> str:
    """A sum, and the difference that undoes it."""
    a, b = rng.randint(1, 12), rng.randint(1, 12)
    return (
        f"{sentence(az_number(a))} ilə {of(az_number(b))} cəmi {is_(az_number(a + b))}. "
        f"{sentence(az_number(a + b))} ilə {of(az_number(b))} fərqi {is_(az_number(a))}."
    )


def az_market(rng: Random) -> str:
    """Somebody buys several of one thing; the price is the product."""
    person, thing, count, price = rng.choice(AZ_PEOPLE), rng.choice(AZ_GOODS), rng.randint(2, 9), rng.randint(2, 9)
    return (
        f"{sentence(person)} bazara gedir. O, {az_number(count)} {thing} alır. Bir {thing} {az_number(price)} "
        f"manatdır, {az_number(count)} {thing} {az_number(count * price)} manatdır."
    )


def az_weather(rng: Random) -> str:
    """What the weather was and is, and what people do in it."""
    before, now = rng.sample(list(AZ_WEATHER), 2)
    some, others = (many(person) for person in rng.sample(AZ_PEOPLE, 2))
    first, second = (rng.choice(AZ_WEATHER[now]) for _ in range(2))
    return (
        f"Dünən hava {before} idi, bu gün isə hava {is_(now)}. {sentence(some)} {first}. "
        f"{sentence(others)} d{TWOFOLD[last_vowel(others)]} {second}."
    )


def az_season(rng: Random) -> str:
    """A month and its season."""
    season = rng.choice(list(AZ_SEASONS))
    months, habit = AZ_SEASONS[season]
    return f"{sentence(rng.choice(months))} {season} ayıdır. {sentence(at(season))} {habit}."


def az_animal(rng: Random) -> str:
    """An animal, its food, its place and what it does."""
    animal = rng.choice(list(AZ_ANIMALS))
    food, place, does = AZ_ANIMALS[animal]
    name = sentence(animal)
    question = f" Hansı heyvan {does}? {name} {does}." if rng.randint(0, 1) else ""
    return f"{name} {food} yeyir. O, {at(place)} yaşayır və {does}.{question}"


def az_size(rng: Random) -> str:
    """Two animals compared, both ways round."""
    small, big = sorted(rng.sample(range(len(AZ_SIZES)), 2))
    little, large = AZ_SIZES[small], AZ_SIZES[big]
    return f"{sentence(large)} {than(little)} böyükdür, {little} isə {than(large)} kiçikdir."


def az_days(rng: Random) -> str:
    """Yesterday, today, tomorrow."""
    day = rng.randrange(7)
    yesterday, today, tomorrow = (AZ_DAYS[(day + shift) % 7] for shift in (-1, 0, 1))
    return f"Bu gün {is_(today)}. Dünən {yesterday} idi, sabah {tomorrow} olacaq."


def az_lessons(rng: Random) -> str:
    """The lessons of a day, and what is done in one of them."""
    subjects = rng.sample(list(AZ_LESSONS), 3)
    listed = ", ".join(f"{AZ_ORDINALS[place]} dərs {is_(subject)}" for place, subject in enumerate(subjects))
    subject = rng.choice(subjects)
    return f"Bu gün {listed}. {sentence(subject)} dərsində şagirdlər {AZ_LESSONS[subject]}."


def az_search(rng: Random) -> str:
    """Something is looked for, and found where it is."""
    person, thing = rng.choice(AZ_PEOPLE), rng.choice(AZ_THINGS)
    side = f"{of(rng.choice(AZ_FURNITURE))} {rng.choice(AZ_SIDES)}"
    return (
        f"{sentence(person)} {the(thing)} axtarır. {sentence(thing)} haradadır? {sentence(thing)} {is_(side)}. "
        f"{sentence(person)} {the(thing)} {side} tapır."
    )


def az_way(rng: Random) -> str:
    """Somebody works, then goes somewhere, and comes back from there."""
    person, place = rng.choice(AZ_PEOPLE), rng.choice(AZ_PLACES)
    return (
        f"{sentence(person)} səhər {rng.choice(AZ_WORK)}. Sonra o, {to(place)} gedir. "
        f"Axşam {person} {than(place)} evə qayıdır."
    )


# ---------------------------------------------------------------------------------------- English


def en_number(value: int) -> str:
    """A number from 0 to 99 in words."""
    if value < len(EN_ONES):
        return EN_ONES[value]
    return EN_TENS[value // 10] + (f"-{EN_ONES[value % 10]}" if value % 10 else "")


def en_count(value: int, thing: str) -> str:
    """So many of something."""
    return f"{en_number(value)} {thing}{'' if value == 1 else 's'}"


def en_gift(rng: Random) -> str:
    """Somebody has some, gets or loses some, and has as many as that makes."""
    person, other = rng.sample(EN_PEOPLE, 2)
    thing, have, change = rng.choice(EN_GOODS), rng.randint(2, 9), rng.randint(1, 9)
    start = f"The {person} has {en_count(have, thing)}."
    if change < have and rng.randint(0, 1):
        return (
            f"{start} The {person} gives the {other} {en_count(change, thing)}. "
            f"Now the {person} has {en_count(have - change, thing)}."
        )
    return (
        f"{start} The {other} brings {en_count(change, thing)} more. "
        f"Now the {person} has {en_count(have + change, thing)}."
    )


def en_sum(rng: Random) -> str:
    """A sum, and the difference that undoes it."""
    a, b = rng.randint(1, 12), rng.randint(1, 12)
    return (
        f"{sentence(en_number(a))} plus {en_number(b)} is {en_number(a + b)}. "
        f"{sentence(en_number(a + b))} minus {en_number(b)} is {en_number(a)}."
    )


def en_market(rng: Random) -> str:
    """Somebody buys several of one thing; the price is the product."""
    person, thing, count, price = rng.choice(EN_PEOPLE), rng.choice(EN_GOODS), rng.randint(2, 9), rng.randint(2, 9)
    return (
        f"The {person} goes to the market and buys {en_count(count, thing)}. One {thing} costs {en_number(price)} "
        f"manats, so {en_count(count, thing)} cost {en_number(count * price)} manats."
    )


def en_weather(rng: Random) -> str:
    """What the weather was and is, and what people do in it."""
    before, now = rng.sample(list(EN_WEATHER), 2)
    who = rng.sample(EN_PEOPLE, 2)
    first, second = (rng.choice(EN_WEATHER[now]) for _ in range(2))
    return f"Yesterday it was {before}, but today it is {now}. The {who[0]}s {first} and the {who[1]}s {second}."


def en_animal(rng: Random) -> str:
    """An animal, its food, its place and what it does."""
    animal = rng.choice(list(EN_ANIMALS))
    food, place, does = EN_ANIMALS[animal]
    question = f" Which animal {does}? The {animal} {does}." if rng.randint(0, 1) else ""
    return f"The {animal} eats {food}. It lives in the {place} and {does}.{question}"


def en_size(rng: Random) -> str:
    """Two animals compared, both ways round."""
    small, big = sorted(rng.sample(range(len(EN_SIZES)), 2))
    return (
        f"The {EN_SIZES[big]} is bigger than the {EN_SIZES[small]}, "
        f"and the {EN_SIZES[small]} is smaller than the {EN_SIZES[big]}."
    )


def en_days(rng: Random) -> str:
    """Yesterday, today, tomorrow."""
    day = rng.randrange(7)
    yesterday, today, tomorrow = (EN_DAYS[(day + shift) % 7] for shift in (-1, 0, 1))
    return f"Today is {today}. Yesterday was {yesterday} and tomorrow will be {tomorrow}."


def en_colour(rng: Random) -> str:
    """Something has a colour, and still has it when asked."""
    person, thing, colour = rng.choice(EN_PEOPLE), rng.choice(EN_GOODS), rng.choice(EN_COLOURS)
    return f"The {person} finds a {colour} {thing}. What colour is the {thing}? The {thing} is {colour}."


def en_way(rng: Random) -> str:
    """Somebody works, then goes somewhere, and comes back from there."""
    person, place = rng.choice(EN_PEOPLE), rng.choice(EN_PLACES)
    return (
        f"In the morning the {person} {rng.choice(EN_WORK)}. Then the {person} goes to the {place}. "
        f"In the evening the {person} comes home from the {place}."
    )


AZERBAIJANI: tuple[Callable[[Random], str], ...] = (
    az_gift, az_sum, az_market, az_weather, az_season, az_animal, az_size, az_days, az_lessons, az_search, az_way,
)  # fmt: skip
ENGLISH: tuple[Callable[[Random], str], ...] = (
    en_gift, en_sum, en_market, en_weather, en_animal, en_size, en_days, en_colour, en_way,
)  # fmt: skip


def paragraphs(seed: int) -> Iterator[str]:
    """Paragraphs of two to four little stories in one language, without end; the same seed gives the same text."""
    rng = Random(seed)  # noqa: S311  (text, not secrets)
    while True:
        stories = rng.choice((AZERBAIJANI, ENGLISH))
        yield " ".join(rng.choice(stories)(rng) for _ in range(rng.randint(2, 4)))
