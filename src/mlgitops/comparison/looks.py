"""How often head's test rows were measured on before, as base's history says.

Every run that is compared looks at the test rows once more, and what is kept after many looks fits
them better than rows to come. Counted are the versions of `dvc.lock` in the history of base that
hold the test data's hash: each is what one run of the pipeline recorded, on the branch itself or on
one that was merged. Reads git alone; `compare` counts, and `report` counts again.
"""

from __future__ import annotations

from hashlib import md5
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.model import Looks

if TYPE_CHECKING:
    from mlgitops.comparison.sides import SideFiles

#: So many versions of dvc.lock, and so many merges back, are looked at.
MOST_LOOKS = 2_000
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "*?[]\\"})


def count_looks(path: str | None, base: SideFiles, head: SideFiles) -> Looks | None:
    """Count the results in base's history that are of the test data ``path`` as head has it.

    None where the files of DVC do not tell which test data a result is of: not even base's own.
    """
    digests = [hash_content(side, path) if path else None for side in (base, head)]
    if base.sha is None or None in digests:
        return None
    pattern = f"{base.folder.prefix.translate(_SPECIAL)}**/dvc.lock"
    try:
        locks, partial = base.folder.repository.list_past_contents(
            base.sha, pattern, most=MOST_LOOKS
        )
    except MlgitopsError:  # a partial clone lacks older files
        return None
    of_base, of_head = (_count(digest or "", locks) for digest in digests)
    return Looks(results=of_head, partial=partial) if of_base else None


def _count(digest: str, locks: list[bytes]) -> int:
    recorded = digest.removeprefix("md5:").encode()
    return sum(recorded in lock for lock in locks)


def hash_content(side: SideFiles, path: str) -> str | None:
    """Return DVC's hash of a file ("md5:…"), also where git keeps it; None where none is known."""
    identity = side.find_hash(path) or ""
    data = side.read(path) if identity.startswith("git:") else None
    if data is None:
        return identity if identity.startswith("md5:") else None
    return f"md5:{md5(data, usedforsecurity=False).hexdigest()}"
