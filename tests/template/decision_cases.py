"""Tables as people bring them, each with what is to be decided about it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from template.decisions import Case, day, draw_number, label, scatter

from mlgitops.project.generate.choices import Choices

if TYPE_CHECKING:
    from collections.abc import Callable

    from template.decisions import Cell


LATEST = "the test rows are the latest by"

DATED = {
    "ISO date": Case(
        {"day": day},
        ("time", "day"),
        "day",
        says=(f"{LATEST} 'day'", "'day' is no feature: it is a date: what matters of it"),
    ),
    "ISO date and time": Case(
        {"seen": lambda at: f"{day(at)} {at % 24:02d}:30"},
        ("time", "date"),
        "date",
        rule={"date": {"date_of": ["seen"]}},
    ),
    "ISO with zone": Case(
        {"seen_at": lambda at: f"{day(at)}T{at % 24:02d}:30:00+01:00"},
        ("time", "date"),
        "date",
        rule={"date": {"date_of": ["seen_at"]}},
    ),
    "31.12.2020": Case(
        {"Datum": lambda at: f"{day(at):%d.%m.%Y}"},
        ("time", "Datum"),
        "Datum",
        rule={"Datum": {"format": "%d.%m.%Y"}},
    ),
    "12/31/2020": Case(
        {"day": lambda at: f"{day(at):%m/%d/%Y}"},
        ("time", "day"),
        "day",
        rule={"day": {"format": "%m/%d/%Y"}},
    ),
    "31/12/2020": Case(
        {"day": lambda at: f"{day(at):%d/%m/%Y}"},
        ("time", "day"),
        "day",
        rule={"day": {"format": "%d/%m/%Y"}},
    ),
    "12/31/2020 1:05 PM": Case(
        {"time": lambda at: f"{day(at):%m/%d/%Y} {at % 12 + 1}:05 PM"},
        ("time", "date"),
        "date",
        rule={"time": {"format": "%m/%d/%Y %I:%M %p"}, "date": {"date_of": ["time"]}},
    ),
    "31 Dec 2020": Case(
        {"day": lambda at: f"{day(at):%d %b %Y}"},
        ("time", "day"),
        "day",
        rule={"day": {"format": "%d %b %Y"}},
    ),
    "20201231": Case(
        {"order_date": lambda at: f"{day(at):%Y%m%d}"},
        ("time", "date"),
        "date",
        rule={"date": {"date_of": ["order_date"], "format": "%Y%m%d"}},
    ),
    "seconds since 1970": Case(
        {"ts": lambda at: 1_577_664_000 + at // 5 * 86_400 + at},
        ("time", "date"),
        "date",
        rule={"date": {"date_of": ["ts"], "epoch": "s"}},
    ),
    "milliseconds since 1970": Case(
        {"created": lambda at: (1_577_664_000 + at // 5 * 86_400) * 1000 + at},
        ("time", "date"),
        "date",
        rule={"date": {"date_of": ["created"], "epoch": "ms"}},
    ),
    "year, month and day": Case(
        {
            "year": lambda at: day(at).year,
            "month": lambda at: day(at).month,
            "day": lambda at: day(at).day,
        },
        ("time", "date"),
        "date",
        {"day", "year"},
        says=(f"{LATEST} 'year', 'month' and 'day'",),
        rule={"date": {"date_of": ["year", "month", "day"]}},
    ),
    "year and month": Case(
        {"yr": lambda at: 2000 + at // 60, "mon": lambda at: at // 5 % 12 + 1},
        ("time", "date"),
        "date",
        {"mon"},
        says=("'yr' is no feature: it says when the row was",),
        rule={"date": {"date_of": ["yr", "mon"]}},
    ),
    "months beside a date": Case(
        {"day": day, "month": lambda at: day(at).month % 12, "week": lambda at: at // 35 % 4},
        ("time", "day"),
        "day",
        {"week"},
        says=("'month' is no feature: it says when the row was",),
    ),
    "a column is called date": Case(
        {"date": lambda at: "abc"[at % 3], "seen": lambda at: f"{day(at)} 12:00"},
        ("time", "row_date"),
        "row_date",
        {"date"},
        rule={"row_date": {"date_of": ["seen"]}},
    ),
    "one row a day": Case(
        {"day": lambda at: date(2019, 12, 30) + timedelta(days=at)}, ("time", "day"), None
    ),
    "few days": Case(
        {"day": lambda at: date(2020, 1, 1) + timedelta(days=at // 60)},
        ("time", "day"),
        None,
        says=("too few to count by", "may be too narrow"),
    ),
    "dates of birth": Case(
        {"date_of_birth": lambda at: date(1950, 1, 1) + timedelta(days=at * 37)},
        says=("'date_of_birth' is no feature: it is a date",),
    ),
    "a date is missing": Case(
        {"day": lambda at: day(at) if at != 7 else ""},
        says=("'day' is missing in 1 of 600 rows, so the rows cannot be split by it",),
    ),
    "a day that does not exist": Case(
        {"day": lambda at: f"2020-02-{at % 30 + 1:02d}"}, features={"day"}
    ),
    "a class that came late": Case(
        {"day": day, "y": lambda at: 2 if at > 500 and at % 2 else label(at)},
        says=("not split by 'day', because then 'y' is '2' in test rows only",),
    ),
    "the day of the export": Case(
        {"exported": lambda _at: "2020-05-01"},
        says=("'exported' is no feature: it is the same in every row",),
    ),
    "amounts that look like dates": Case(
        {"steps": lambda at: 20_200_101 + at * 31 % 28}, features={"steps"}
    ),
    "a year and a month of two events": Case(
        {"built_year": lambda at: 1950 + at % 60, "sold_month": lambda at: at % 12 + 1},
        features={"built_year", "sold_month"},
    ),
    "time is not wanted": Case({"day": day}, choices=Choices(split="hash")),
    "the question is answered with no": Case(
        {"day": day}, choices=Choices(ask=lambda _question, _default: False)
    ),
    "years alone, when asked": Case(
        {"year": lambda at: 2001 + at // 30},
        ("time", "year"),
        None,
        choices=Choices(split="time"),
    ),
    "years alone": Case({"year": lambda at: 2001 + at // 30}, features={"year"}),
    "an order that was named": Case(
        {"step": lambda at: at // 4},
        ("time", "step"),
        "step",
        says=("'step' is no feature: it says when the row was",),
        choices=Choices(split="time", split_column="step"),
    ),
}

GROUPED = {
    "patients": Case(
        {"patient_id": lambda at: 1000 + at % 120},
        ("group", "patient_id"),
        "patient_id",
        says=("all rows of one 'patient_id' are on one side", "'patient_id' is no feature"),
    ),
    "customers in camel case": Case(
        {"customerId": lambda at: f"c{at % 120}"}, ("group", "customerId"), "customerId"
    ),
    "tail numbers and days": Case(
        {"tailnum": lambda at: f"N{at % 90}", "day": day},
        ("time", "day"),
        "day",
        {"tailnum"},
    ),
    "customers and one row a day": Case(
        {
            "customer": lambda at: f"c{at % 90}",
            "day": lambda at: date(2019, 12, 30) + timedelta(days=at),
        },
        ("time", "day"),
        "customer",
    ),
    "few customers": Case({"customer": lambda at: f"c{at % 9}"}, features={"customer"}),
    "a panel": Case(
        {"nr": lambda at: 1000 + at % 100, "year": lambda at: 1990 + at // 100},
        ("group", "nr"),
        "nr",
        {"year"},
        says=("'nr' is no feature: it says whom or what the row is about: a new one has",),
    ),
    "a panel of short years": Case(
        {"wave_year": lambda at: 81 + at // 100, "firm": lambda at: f"firm {at % 100}"},
        ("group", "firm"),
        "firm",
        {"wave_year"},
    ),
    "a number beside a year": Case(
        {"size": lambda at: draw_number(at, 150), "year": lambda at: 2001 + at // 30},
        features={"size", "year"},
    ),
    "too few rows to be sure of a panel": Case(
        {"size": lambda at: at % 300 + 5, "year": lambda at: 1900 + at // 10},
        features={"size", "year"},
    ),
    "an amount that comes every year": Case(
        {"share": lambda at: at % 100 + 0.5, "year": lambda at: 1990 + at // 100},
        features={"share", "year"},
    ),
    "the height of a mother": Case({"mother": lambda at: 150 + at % 120 / 2}, features={"mother"}),
    "families with codes": Case(
        {"family": lambda at: f"{at % 120:03d}" if at % 60 else "136A"},
        ("group", "family"),
        "family",
    ),
    "a kept patient": Case(
        {"patient": lambda at: f"p{at % 120}"},
        ("group", "patient"),
        "patient",
        {"patient"},
        choices=Choices(keep=("patient",)),
    ),
    "some patients are not known": Case(
        {"patient": lambda at: f"p{at % 120}" if at % 9 else ""}, features={"patient"}
    ),
    "a group that was named": Case(
        {"shop": lambda at: f"s{at % 60}"},
        ("group", "shop"),
        "shop",
        choices=Choices(split="group", split_column="shop"),
    ),
    "days as groups": Case(
        {"day": day},
        ("group", "day"),
        "day",
        says=("all rows of one 'day' are on one side", "'day' is no feature: it is a date:"),
        choices=Choices(split="group", split_column="day"),
    ),
    "groups are not wanted": Case(
        {"patient": lambda at: f"p{at % 120}"},
        ("hash", None),
        "patient",
        {"patient"},
        choices=Choices(ask=lambda _question, _default: False),
    ),
}


def late(at: int) -> float:
    """Return a number that says much of the target, as the delay at departure does."""
    return round(scatter(at) + scatter(at, 6007) + scatter(at, 31) / 2, 3)


def early(at: int) -> float:
    """Return a number that says something of the target."""
    return round(scatter(at) + scatter(at, 6007) + 3 * scatter(at, 31), 3)


LEAKS = {
    "the target itself": Case(
        {"copy": lambda at: "ny"[label(at)]},
        says=("'copy' is no feature: it alone gives 'y' away",),
    ),
    "written when it was over": Case(
        {"refund": lambda at: at % 7 + 1 if label(at) else ""},
        says=("'refund' is no feature: it alone gives 'y' away",),
    ),
    "it says much": Case(
        {"late": late},
        says=("'late' is no feature: it alone reaches a ROC AUC of 0.9", "move it to the features"),
    ),
    "it says much and is wanted": Case(
        {"late": late}, features={"late"}, choices=Choices(keep=("late",))
    ),
    "it says much and is known": Case(
        {"late": late},
        features={"late"},
        choices=Choices(ask=lambda question, default: "known" in question or default),
    ),
    "it says something": Case(
        {"early": early},
        features={"early"},
        says=("'early' alone reaches a ROC AUC of 0.7", "is it known in time? It is kept"),
    ),
    "a target that is easy to tell": Case(
        {
            "late": late,
            "later": lambda at: round(scatter(at) + scatter(at, 6007) + scatter(at, 37) / 2, 3),
            "latest": lambda at: round(scatter(at) + scatter(at, 6007) + scatter(at, 41) / 2, 3),
            "copy": lambda at: "ny"[label(at)],
        },
        features={"late", "later", "latest"},
        says=(
            "'latest' (a ROC AUC of 0.9",
            "each say much alone. So many of 5 columns do where a target is easy to tell",
            "'copy' is no feature: it alone gives 'y' away",
        ),
    ),
    "two of four say much": Case(
        {
            "late": late,
            "later": lambda at: round(scatter(at) + scatter(at, 6007) + scatter(at, 37) / 2, 3),
            "other": lambda at: round(scatter(at, 43), 3),
        },
        features={"other"},
    ),
    "the target itself, and wanted": Case(
        {"copy": lambda at: "ny"[label(at)]}, features={"copy"}, choices=Choices(keep=("copy",))
    ),
    "a number that says much of a number": Case(
        {
            "then": lambda at: round(scatter(at, 31) * 100 + scatter(at, 6007) * 40),
            "y": lambda at: round(scatter(at, 31) * 100 + scatter(at) * 20, 2),
        },
        says=("'then' is no feature: it alone reaches an R2 of 0.8",),
    ),
    "many categories say nothing": Case(
        {"c": lambda at: f"c{at * 7 % 113}"}, features={"c"}, says=("the task is binary",)
    ),
}


def closed(at: int) -> date | str:
    """Return the day on which a case was closed, in most rows; scattered over some weeks."""
    return day(at) + timedelta(days=at * 31 % 23) if at * 7919 % 1009 > 300 else ""


def is_closed(at: int) -> bool:
    """Tell whether it was."""
    return bool(closed(at))


LATER = {
    "written when a case is closed": Case(
        {
            "opened": day,
            "closed_at": closed,
            "agent": lambda at: "abc"[at * 31 % 3] if is_closed(at) or at == 5 else "",
            "status": lambda at: "done" if is_closed(at) else "new" if at % 2 else "waiting",
            "days_open": lambda at: at * 31 % 23 if is_closed(at) else "",
            "source": lambda at: "pq"[at * 13 % 2] if at % 3 else "",
        },
        ("time", "opened"),
        "opened",
        {"source"},
        says=(
            "'agent' is no feature: it is filled where 'closed_at' is, which is never before",
            "'status' is no feature: it says whether there is 'closed_at'",
            "'days_open' is no feature: it is the days from 'opened' to 'closed_at'",
        ),
    ),
    "the agent is known": Case(
        {
            "opened": day,
            "closed_at": closed,
            "agent": lambda at: "abc"[at * 31 % 3] if is_closed(at) else "",
        },
        ("time", "opened"),
        "opened",
        {"agent"},
        choices=Choices(keep=("agent",)),
    ),
    "a date on either side of the row's": Case(
        {
            "opened": day,
            "moved_in": lambda at: day(at) + timedelta(days=at * 31 % 99 - 30) if at % 3 else "",
            "flat": lambda at: "pq"[at * 13 % 2] if at % 3 else "",
        },
        ("time", "opened"),
        "opened",
        {"flat"},
    ),
    "a later date that every row has": Case(
        {
            "ordered": day,
            "sent": lambda at: day(at) + timedelta(days=at * 31 % 23),
            "days": lambda at: at * 31 % 23,
            "carrier": lambda at: "pq"[at * 13 % 2],
        },
        ("time", "ordered"),
        "ordered",
        {"days", "carrier"},
        says=("'days' is the days from 'ordered' to 'sent': is it known in time? It is kept",),
    ),
    "what was planned": Case(
        {
            "sched_dep_time": lambda at: at * 31 % 97,
            "dep_time": lambda at: at * 31 % 97 + at * 7 % 5,
            "plannedEnd": lambda at: at * 37 % 97,
            "end": lambda at: at * 37 % 97 + at * 7 % 5,
            "expected_loss": lambda at: at * 41 % 97,
            "plan_type": lambda at: "abc"[at * 43 % 3],
            "type": lambda at: "de"[at * 47 % 2],
        },
        features={"sched_dep_time", "plannedEnd", "expected_loss", "plan_type", "type"},
        says=("'dep_time' is no feature: it is what came of 'sched_dep_time': move it to",),
    ),
    "days that are something else": Case(
        {"opened": day, "closed_at": closed, "days": lambda at: at * 37 % 23},
        ("time", "opened"),
        "opened",
        {"days"},
    ),
}

PROTECTED = {
    "full names": Case(
        {
            "race": lambda at: "abc"[at % 3],
            "gender": lambda at: "fm"[at % 2],
            "marital_status": lambda at: "sm"[at // 2 % 2],
            "age": lambda at: 20 + at % 50,
            "nationality": lambda at: "xyz"[at // 3 % 3],
            "religion": lambda at: "pq"[at // 5 % 2],
            "disability": lambda at: "yn"[at // 7 % 2],
            "pregnant": lambda at: at // 11 % 2,
        },
        slices=("race", "gender", "marital_status", "nationality"),
        says=("'age' is no feature: it may be a protected attribute (age)",),
    ),
    "the mortgage table": Case(
        {
            "black": lambda at: at % 2,
            "hispan": lambda at: at // 2 % 2,
            "male": lambda at: at // 3 % 2 if at % 41 else "",
            "married": lambda at: at // 5 % 2,
            "loanamt": lambda at: at % 97,
        },
        features={"loanamt"},
        slices=("black", "hispan", "male", "married"),
        says=("'male' is no feature: it may be a protected attribute (sex or gender)",),
    ),
    "short and one-hot names": Case(
        {
            "maritl": lambda at: "abc"[at % 3],
            "SexCode": lambda at: at // 3 % 2,
            "race_asian": lambda at: at // 5 % 2,
            "ethn": lambda at: "uvw"[at // 7 % 3],
            "ageGroup": lambda at: "uvw"[at // 11 % 3],
        },
        slices=("maritl", "SexCode", "race_asian", "ageGroup"),
    ),
    "one of each attribute first": Case(
        {
            "black": lambda at: at % 2,
            "hispan": lambda at: at // 2 % 2,
            "asian": lambda at: at // 3 % 2,
            "married": lambda at: at // 5 % 2,
            "old": lambda at: at // 7 % 2,
            "male": lambda at: at // 11 % 2,
        },
        slices=("black", "married", "old", "male"),
    ),
    "an age of two values, and an origin": Case(
        {
            "SeniorCitizen": lambda at: at // 3 % 2,
            "old": lambda at: at // 5 % 2,
            "old_price": lambda at: at // 7 % 2,
            "native-country": lambda at: "uvw"[at // 7 % 3],
            "relationship": lambda at: "hwo"[at // 11 % 3],
        },
        features={"old_price", "relationship"},
        slices=("SeniorCitizen", "old", "native-country"),
        says=(
            "'SeniorCitizen' is no feature: it may be a protected attribute (age)",
            "'native-country' is no feature: it may be a protected attribute (nationality)",
            "'relationship' may stand in for a protected attribute",
        ),
    ),
    "decided otherwise": Case(
        {"sex": lambda at: "fm"[at % 2], "age": lambda at: 20 + at % 50},
        features={"sex"},
        slices=("sex",),
        says=("'sex' may be a protected attribute (sex or gender), and the model sees it",),
        choices=Choices(keep=("sex",)),
    ),
    "answered with yes": Case(
        {"sex": lambda at: "fm"[at % 2], "age": lambda at: 20 + at % 50},
        features={"sex", "age"},
        slices=("sex",),
        choices=Choices(ask=lambda _question, _default: True),
    ),
    "names that only look alike": Case(
        {
            "wage": lambda at: at % 83,
            "house_age": lambda at: at % 71,
            "racetrack": lambda at: "abc"[at % 3],
            "essex": lambda at: at % 13,
            "white": lambda at: at % 31,
            "package": lambda at: "pq"[at // 5 % 2],
        },
        features={"wage", "house_age", "racetrack", "essex", "white", "package"},
        slices=("racetrack", "package"),
    ),
    "proxies": Case(
        {"postcode": lambda at: f"0{at % 40:04d}", "first_name": lambda at: f"n{at % 60}"},
        features={"postcode", "first_name"},
        says=(
            "'postcode' may stand in for a protected attribute",
            "'first_name' may stand in for a protected attribute",
        ),
    ),
}


def some(mark: str, every: int = 15, write: Callable[[int], object] | None = None) -> Cell:
    """Return a column of numbers in which every fifteenth cell holds the mark."""
    return lambda at: mark if at % every == 0 else (write or (lambda row: row * 7 % 83))(at)


CELLS = {
    "question marks": Case(
        {"n": some("?")},
        features={"n"},
        rule={"n": {"missing": ["?"]}},
        says=("'n': 560 of 600 are numbers; '?' in 40: taken as missing",),
    ),
    "infinities and dashes": Case(
        {"n": lambda at: {0: "inf", 1: "-inf", 2: "-"}.get(at % 40, at * 7 % 83)},
        features={"n"},
        rule={"n": {"missing": ["-", "-inf", "inf"]}},
        says=("'-' in 15, '-inf' in 15, 'inf' in 15",),
    ),
    "n/a": Case({"n": some("n/a")}, features={"n"}, says=("n/a was taken to mean a missing",)),
    "errors of a spreadsheet": Case(
        {"n": some("#DIV/0!")}, features={"n"}, rule={"n": {"missing": ["#DIV/0!"]}}
    ),
    "a few words": Case(
        {"n": some("see file", 60)}, features={"n"}, rule={"n": {"missing": ["see file"]}}
    ),
    "many words": Case({"n": some("see file", 4)}, features={"n"}, says=("binary",)),
    "percent": Case(
        {"n": lambda at: f"{at * 7 % 83 / 10}%"},
        features={"n"},
        rule={"n": {"remove": "%"}},
        says=("'n': % beside numbers is left out: 12.3% is 12.3",),
    ),
    "euros and thousands": Case(
        {"n": some("-", 15, lambda at: f"€{at * 7919 % 10007 + 1000:,}.50")},
        features={"n"},
        rule={"n": {"remove": "€", "thousands": ",", "missing": ["-"]}},
        says=("'n': € beside numbers is left out", "commas between thousands are left out"),
    ),
    "points between thousands": Case(
        {"n": lambda at: f"{at * 7919 % 10007 + 1000:,}".replace(",", ".") + ",5 €"},
        features={"n"},
        rule={"n": {"remove": "€", "thousands": ".", "decimal": ","}},
    ),
    "blanks between thousands": Case(
        {"n": lambda at: f"{at * 7919 % 10007 + 1000:,}".replace(",", " ")},
        features={"n"},
        rule={"n": {"thousands": " "}},
    ),
    "decimal commas and a question mark": Case(
        {"n": some("?", 15, lambda at: f"{at * 7 % 83},5")},
        features={"n"},
        rule={"n": {"decimal": ",", "missing": ["?"]}},
        separator=";",
        says=("separated by semicolons", "decimal commas are read as points"),
    ),
    "a category that is not known": Case(
        {"c": lambda at: "?" if at % 9 == 0 else "abc"[at % 3]},
        features={"c"},
        rule={"c": {"missing": ["?"]}},
        says=("'c': '?' in 67 rows was taken to mean a missing value",),
    ),
    "a dash is a value": Case({"c": lambda at: "+-"[at % 2]}, features={"c"}),
    "a few numbers among marks": Case(
        {"c": lambda at: "unknown" if at % 5 else at * 7 % 83}, features={"c"}
    ),
    "NA among four codes": Case(
        {"state": lambda at: ("NA", "NY", "NJ", "CA", "TX")[at % 5]},
        features={"state"},
        says=("'state': NA was taken to mean a missing value",),
    ),
    "None among numbers": Case(
        {"n": some("None")}, features={"n"}, says=("'n': None was taken to mean a missing",)
    ),
    "seven words in a column of numbers": Case(
        {"n": lambda at: f"see file {'abcdefg'[at // 70 % 7]}" if at % 70 == 0 else at * 7 % 83},
        features={"n"},
    ),
    "three digits behind a comma": Case(
        {"n": lambda at: f"{at * 7 % 83 + 1},{100 + at % 800}"},
        features={"n"},
        rule={"n": {"decimal": ","}},
        separator=";",
    ),
    "None is a category": Case(
        {"c": lambda at: ("None", "Gravel", "Paved")[at % 3]},
        features={"c"},
        rule={"c": {"keep": ["None"]}},
        says=("'c': None was taken for a value of its own",),
    ),
    "Namibia": Case(
        {"land": lambda at: ("NA", "DE", "FR", "IT", "ES", "SE")[at % 6]},
        features={"land"},
        rule={"land": {"keep": ["NA"]}},
        says=("NA is one of them (as Namibia's is)",),
    ),
    "Namibia is to be predicted": Case(
        {"y": lambda at: ("NA", "DE", "FR", "IT", "ES", "SE")[int(scatter(at) * 3) * 2 + at % 2]},
        rule={"y": {"keep": ["NA"]}},
        says=("'y' has 6 different values: the task is multiclass",),
    ),
    "postcodes stay as they are": Case({"zip": lambda at: f"0{at % 30 + 1000}"}, features={"zip"}),
    "years as names": Case(
        {str(year): lambda at, year=year: at * year % 97 for year in (2019, 2020)},  # type: ignore[misc]
        features={"2019", "2020"},
    ),
}

NAMES = {
    "whole numbers that name customers": Case(
        {"customer": lambda at: 5000 + at * 7 % 601 * 3}, says=("'customer' is no feature",)
    ),
    "the rows are counted": Case(
        {"Unnamed 0": lambda at: at}, says=("'Unnamed 0' is no feature: it names the row",)
    ),
    "an id beside a customer": Case(
        {"customer": lambda at: 9000 - at, "row_id": lambda at: at * 3},
        says=("'customer' is no feature: it is another for every row, as an identifier is",),
    ),
    "an amount that never repeats": Case(
        {"steps": lambda at: at * 7919 % 10007}, features={"steps"}
    ),
    "amounts whose names end as those of ids do": Case(
        {
            "AMOUNT_PAID": lambda at: at * 7919 % 10007,
            "BID": lambda at: at * 6007 % 10009,
            "price_index": lambda at: at * 31 % 10037,
            "income_per_customer": lambda at: at * 37 % 10039,
            "valueOfProperty": lambda at: at * 41 % 10061,
        },
        features={"AMOUNT_PAID", "BID", "price_index", "income_per_customer", "valueOfProperty"},
        says=("No column names the rows",),
    ),
    "amounts of customers are no customers": Case(
        {"income_per_customer": lambda at: at * 37 % 200}, features={"income_per_customer"}
    ),
    "ids in capitals": Case(
        {
            "ORDERID": lambda at: at * 7919 % 10007,
            "passengerID": lambda at: at * 6007 % 10009,
            "Row Index": lambda at: at * 31 % 10037,
            "bank customer": lambda at: at * 37 % 10039,
        },
        says=(
            "'ORDERID' is no feature: it names the row",
            "'passengerID' is no feature: it is another for every row",
            "'Row Index' is no feature: it is another for every row",
            "'bank customer' is no feature: it is another for every row",
        ),
    ),
    "an id that a few rows share": Case(
        {"ID": lambda at: 5000 + (at - (at % 20 == 0)) * 3},
        says=("'ID' is no feature: it is another for almost every row",),
    ),
    "counts are an amount when asked": Case(
        {"y": lambda at: int(scatter(at) * 5 + scatter(at, 6007) * 4)},
        choices=Choices(ask=lambda question, default: "an amount" in question or default),
        says=("'y' has 9 different whole numbers: the task is regression",),
    ),
}

MOVED = {
    "a number moves with time": Case(
        {"day": day, "price": lambda at: round(scatter(at, 31) * 10 + at / 60, 2)},
        ("time", "day"),
        "day",
        {"price"},
        says=("'price' (PSI ", "moved from the train to the later test rows"),
    ),
    "a category moves with time": Case(
        {"day": day, "shop": lambda at: "ab"[at % 5 == 0] if at < 400 else "ab"[at % 2]},
        ("time", "day"),
        "day",
        {"shop"},
        says=("'shop' (PSI ",),
    ),
    "a new category comes late": Case(
        {"day": day, "shop": lambda at: "ab"[at % 2] if at < 420 else "abc"[at % 3]},
        ("time", "day"),
        "day",
        {"shop"},
        says=("'shop' (PSI ",),
    ),
    "gaps begin late": Case(
        {
            "day": day,
            "late_gap": lambda at: round(scatter(at, 31), 2) if at < 420 or at % 2 else "",
        },
        ("time", "day"),
        "day",
        {"late_gap"},
        says=("'late_gap' (PSI ",),
    ),
}

CASES = {**DATED, **GROUPED, **LEAKS, **LATER, **PROTECTED, **CELLS, **NAMES, **MOVED}
