"""Options that several commands have: one name, one meaning and one help text for each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_environment(parser: argparse.ArgumentParser) -> None:
    """Declare which environment a command is about."""
    parser.add_argument(
        "environment", metavar="ENV", help="the environment: a folder below deploy/"
    )


def add_directory(parser: argparse.ArgumentParser) -> None:
    """Declare the project's folder."""
    parser.add_argument(
        "--directory", type=Path, default=Path(), metavar="DIR", help="the project (default: .)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare that the result is printed for a program to read, as JSON."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def add_html(parser: argparse.ArgumentParser) -> None:
    """Declare a page: one file, which loads nothing from elsewhere."""
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write the result to FILE, as a page"
    )


def add_key(parser: argparse.ArgumentParser) -> None:
    """Declare the name that tells the projects of one repository apart in reports."""
    parser.add_argument("--key", help="names the project when several share one repository")


def add_event(parser: argparse.ArgumentParser) -> None:
    """Declare where GitHub's description of the event stands."""
    parser.add_argument(
        "--event",
        type=Path,
        metavar="FILE",
        help="what GitHub says of the event, as JSON (default: $GITHUB_EVENT_PATH)",
    )


def add_day(parser: argparse.ArgumentParser) -> None:
    """Declare the day as of which production is looked at."""
    parser.add_argument(
        "--day", metavar="DAY", help="look as of the end of this day, UTC (default: yesterday)"
    )
