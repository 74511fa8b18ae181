"""Print the request log with the days of the flights themselves: what the demo's year is read by.

The demo lives nine months in a minute. The server wrote when it really answered; on which day a
flight left stands at the beginning of its id. Nothing else is changed, and whoever asked without
such an id is left out. `mlgitops demo` puts this file into its project, and monitor.yaml names it.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
from pathlib import Path

LOG = Path(".mlgitops/deploy/production/requests")
_DAY = re.compile(r"\d{4}-\d\d-\d\dT")


def main() -> None:
    """Print the records of the days that are asked for, each in the line that it has."""
    since, until = os.environ["MLGITOPS_SINCE"], os.environ["MLGITOPS_UNTIL"]
    for path in sorted(LOG.glob("*.jsonl*")):
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            for line in lines:
                record = json.loads(line)
                day = record["id"][:10]
                if _DAY.match(record["id"]) and since <= day < until:
                    record["at"] = day + record["at"][10:]
                    sys.stdout.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
