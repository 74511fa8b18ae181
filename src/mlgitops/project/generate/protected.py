"""Which columns may be protected attributes of people, or stand in for one? Pure: by their names.

A name is read in full (`marital_status`), short (`maritl`), with its value (`race_black`), and as a
value alone (`hispan`) where the column has two values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlgitops.project.generate.columns import Column

#: Attribute → words of names that mean it, whatever stands beside them.
_WORDS = {
    "race or ethnicity": "race|races|racial|ethnic|ethnicity|ethnics|ethn|ethnie|hautfarbe",
    "nationality": "nationality|nationalities|citizen|citizenship|immigrant|foreigner|migrant|"
    "nationalitaet|nationalität|staatsangehörigkeit",
    "religion": "religion|religious|relig|faith|konfession",
    "sex or gender": "sex|gender|geschlecht|sexe|sexo|genero",
    "marital status": "marital|maritl|marit|marstat|marst|marstatus|familienstand",
    "disability": "disability|disabilities|disabled|handicap|handicapped|disab|behinderung",
    "pregnancy": "pregnancy|pregnant|preg|pregnancies|maternity|schwanger|schwangerschaft",
    "sexual orientation": "orientation",
}

#: Attribute → words that mean it where the column has two values: one of a family of columns.
_VALUES = {
    "race or ethnicity": "black|white|asian|hispan|hispanic|latino|latina|latinx|nonwhite|"
    "caucasian|afam|african|minority|minrty",
    "religion": "muslim|christian|catholic|protestant|jewish|hindu|buddhist|atheist",
    "sex or gender": "male|female|man|woman|men|women|fem|mann|frau",
    "marital status": "married|divorced|widowed|unmarried|separated|marr|mar|single|verheiratet",
    "nationality": "foreign|native",
}

#: Words that leave a person's age one. A house's age, and the age of an account, are none.
_AGE = frozenset({"age", "alter", "edad", "ages", "agegroup", "agecat", "ageband", "agegrp"})
_BESIDE_AGE = frozenset(
    [
        *("in", "years", "yrs", "yr", "group", "grp", "cat", "category", "band", "bucket", "range"),
        *("at", "customer", "client", "patient", "person", "applicant", "borrower", "user"),
        *("driver", "your", "employee", "respondent", "subject", "member", "insured", "mother"),
        *("father", "sq", "squared"),
    ]
)
#: Names that mean a person's age where the column has two values; `old_price` is none.
_OLD = re.compile(r"(?i)(?:is[ _.-]?)?(?:old|young|elderly|senior(?:[ _.-]?citizen)?)")
_ORIGIN = re.compile(
    r"(?i)(?:native|home)[ _.-]?country|country[ _.-]?of[ _.-]?(?:birth|origin)|"
    r"national[ _.-]?origin"
)
_PROXY = re.compile(
    r"(?i).*(?:post_?code|postal|zip_?code|^zip|plz|census_?tract|neighbou?rhood)"
    r".*|(?:first|given|last|sur|family|fore|sur|vor|nach)[ _.-]?name|birth_?(?:place|country)|"
    r".*(?:mother_?tongue|native_?lang).*|relationship"
)
_TWO = 2


def find_attribute(column: Column) -> str | None:
    """Return the protected attribute that the column's name means, or None."""
    if column.distinct == _TWO and _OLD.fullmatch(column.name):
        return "age"
    if _ORIGIN.fullmatch(column.name):
        return "nationality"
    words = split_name(column.name)
    for attribute, pattern in _WORDS.items():
        if any(re.fullmatch(pattern, word) for word in words):
            return attribute
    ages = [word for word in words if word in _AGE]
    if ages and all(word in _AGE | _BESIDE_AGE or word.isdigit() for word in words):
        return "age"
    if column.distinct == _TWO:
        for attribute, pattern in _VALUES.items():
            if any(re.fullmatch(pattern, word) for word in words):
                return attribute
    return None


def is_proxy(column: Column) -> bool:
    """Tell whether the column may stand in for a protected attribute."""
    return bool(_PROXY.fullmatch(column.name))


def split_name(name: str) -> list[str]:
    """Return the words of a name in lower case.

    >>> split_name("maritalStatus_2")
    ['marital', 'status', '2']
    """
    spaced = re.sub(r"(?<=[a-zß-ÿ])(?=[A-Z])|(?<=[^\W\d])(?=\d)", " ", name)
    return re.findall(r"[^\W_]+", spaced.lower())
