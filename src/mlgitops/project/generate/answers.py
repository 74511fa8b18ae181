"""The template's questions and a person's answers to them.

In: `cookiecutter.json`, answers as typed. Out: one complete, checked set of answers. Reads
the template's files; asks at the terminal when told to.
"""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MistakesError, MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jinja2 import Environment

#: An answer: text, or yes or no.
Answer = str | bool

#: Questions that only some earlier answers raise → whether these do; they have no number.
_FOLLOWING: dict[str, Callable[[Mapping[str, Answer]], bool]] = {
    "storage_url": lambda answers: answers["storage"] != "repo",
}


def read_questions(template: Path) -> dict[str, Any]:
    """Return `cookiecutter.json`: question → default, list of choices, or yes or no."""
    questions: dict[str, Any] = json.loads(
        (template / "cookiecutter.json").read_text(encoding="utf-8")
    )
    return questions


def check_given(questions: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Answer]:
    """Return the given answers with yes or no understood.

    Raises :class:`MistakesError` naming every unknown question and every answer that is not
    among its choices.
    """
    errors: list[MlgitopsError] = []
    checked: dict[str, Answer] = {}
    for name, value in given.items():
        try:
            checked[name] = _check_answer(questions, name, value)
        except MlgitopsError as error:
            errors.append(error)
    if errors:
        raise MistakesError(_count(errors), errors)
    return checked


def _check_answer(questions: Mapping[str, Any], name: str, value: str) -> Answer:
    names = [key for key in questions if not key.startswith("_")]
    if name not in names:
        raise MlgitopsError(f"there is no question {name!r}", hint=f"ask for {', '.join(names)}")
    choices = questions[name]
    if isinstance(choices, list) and value not in choices:
        raise MlgitopsError(f"{name}: {value!r} is not a choice", hint=", ".join(choices))
    if isinstance(choices, bool):
        words = {"yes": True, "true": True, "no": False, "false": False}
        if value.lower() not in words:
            raise MlgitopsError(f"{name}: {value!r} is neither yes nor no")
        return words[value.lower()]
    return value


def complete_answers(
    template: Path,
    given: Mapping[str, Answer],
    *,
    ask: bool,
    defaults: Mapping[str, Answer] | None = None,
) -> dict[str, Answer]:
    """Return an answer to every question: given, asked for, or the default.

    ``defaults`` replace the template's. Those in the person's `~/.cookiecutterrc` count,
    as they do for cookiecutter.
    """
    from cookiecutter.config import get_user_config
    from cookiecutter.generate import generate_context
    from cookiecutter.prompt import create_env_with_context

    context = generate_context(
        context_file=str(template / "cookiecutter.json"),
        default_context=get_user_config()["default_context"],
        extra_context={**(defaults or {}), **given},
    )
    questions = context["cookiecutter"]
    prompts = questions.pop("__prompts__")
    env = create_env_with_context(context)
    answers: dict[str, Answer] = {}
    names = [name for name in questions if not name.startswith("_")]
    to_ask = [name for name in names if ask and name not in given]
    numbered = [name for name in to_ask if name not in _FOLLOWING]
    for name in names:
        offer = _offer(env, questions[name], answers)
        if name in numbered:
            count = f"  [dim][{numbered.index(name) + 1}/{len(numbered)}][/] "
            answers[name] = _ask(name, offer, prompts, count)
        elif name in to_ask and _FOLLOWING[name](answers):
            answers[name] = _ask(name, offer, prompts, "  ")
        else:
            answers[name] = offer[0] if isinstance(offer, list) else offer
    return answers


def _offer(env: Environment, raw: object, answers: Mapping[str, Answer]) -> Answer | list[str]:
    """Return what is offered: choices, yes or no, or a text made from earlier answers."""
    if isinstance(raw, bool | list):
        return raw
    return env.from_string(str(raw)).render(cookiecutter=answers)


def _ask(name: str, offer: Answer | list[str], prompts: Mapping[str, Any], count: str) -> Answer:
    from cookiecutter.prompt import read_user_choice, read_user_variable, read_user_yes_no

    try:
        if isinstance(offer, list):
            return str(read_user_choice(name, offer, prompts, count))
        if isinstance(offer, bool):
            return bool(read_user_yes_no(name, offer, prompts, count))
        return str(read_user_variable(name, offer, prompts, count))
    except EOFError as error:
        raise MlgitopsError("the input ended before every question was answered") from error


def ask_yes_no(question: str, default: bool) -> bool:
    """Ask at the terminal; Enter takes the default."""
    return bool(_ask("answer", default, {"answer": question}, "  "))


def check_answers(template: Path, answers: Mapping[str, Answer]) -> None:
    """Raise :class:`MistakesError` with every reason that the template's own hook gives."""
    script = template / "hooks" / "pre_gen_project.py"
    spec = importlib.util.spec_from_file_location("mlgitops_pre_gen_project", script)
    assert spec is not None  # noqa: S101 - the script is part of the toolkit
    assert spec.loader is not None  # noqa: S101 - a file has one
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    errors = [MlgitopsError(text) for text in hook.find_mistakes(answers)]
    if errors:
        raise MistakesError(_count(errors), errors)


def _count(errors: list[MlgitopsError]) -> str:
    return f"{len(errors)} answer{'s' if len(errors) > 1 else ''} cannot be used"
