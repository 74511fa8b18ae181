"""What an environment shall serve instead of what it serves now, measured: facts, no judgement."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mlgitops.model.facts import MetricChange, Rescoring, TestData
from mlgitops.model.fields import Count, Name, Sha, Struct, Text

#: Environments whose model one change may move.
MAX_PROMOTIONS = 20


class WantedModel(Struct, frozen=True, kw_only=True):
    """A model that an environment's file names."""

    sha: Sha  # of the commit whose dvc.lock names it
    label: Name  # its version, else a short sha
    test_data: Text | None = None  # hash of the test data there, "md5:…"


class Promotion(Struct, frozen=True, kw_only=True):
    """Another model for one environment: base's desired state beside head's, on the same rows."""

    environment: Name
    base: WantedModel | None = None  # None: there is no such environment yet
    head: WantedModel | None = None  # None: `reason` says why it cannot be read
    is_return: bool = False  # an older model that was wanted there before
    reason: Text | None = None  # why they cannot be compared; all below is empty then
    rows: TestData = TestData.UNKNOWN  # whether both were measured on the same
    untouched: bool = False  # nothing that a model is made of differs between them
    rescoring: Rescoring | None = None  # of base's model on head's test data, where that is another
    metrics: tuple[MetricChange, ...] = ()  # those that the policy judges
    answers: Count | None = None  # test rows that both answered; None: no classes, or not compared
    changed_answers: Count | None = None  # of them, those that they answer differently


Promotions = Annotated[tuple[Promotion, ...], Meta(max_length=MAX_PROMOTIONS)]
