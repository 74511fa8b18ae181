"""Print the request log with the days of the flights themselves: what the demo's year is read by.

The demo lives nine months in a minute. The server wrote when it really answered; on which day the
flights of a request left stands at the beginning of their ids. Nothing else is changed, and whoever
asked without such ids is left out. `mlgitops demo` puts this file into its project, and
monitor.yaml names it.
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
                row_id = record.get("ids", [record["id"]])[0]
                day = row_id[:10]
                if _DAY.match(row_id) and since <= day < until:
                    record["at"] = day + record["at"][10:]
                    sys.stdout.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
