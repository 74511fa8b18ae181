"""Where a project's data and models are kept, and how new ones get there.

`prepare_storage` makes the default remote usable on this machine; `publish_objects` sends
what the pipeline made and proves that it arrived; `is_published` and `restore_published` read
from there alone what others can fetch.
"""

from mlgitops.dvc.remote import Remote, read_remote
from mlgitops.storage.prepare import prepare_storage
from mlgitops.storage.publish import Published, publish_objects
from mlgitops.storage.published import is_published, restore_published
from mlgitops.storage.sources import cache_sources

__all__ = [
    "Published",
    "Remote",
    "cache_sources",
    "is_published",
    "prepare_storage",
    "publish_objects",
    "read_remote",
    "restore_published",
]
