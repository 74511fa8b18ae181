"""How long facts of a large log take, and how much memory: the log is made here.

    python -m benchmarks.monitoring_speed [--rows 10000000] [--days 30] [--keep FOLDER]

Ten million rows of flights, as the server writes them, with a label each: at most 60 seconds and
1 GB in two processes. Exit code 1 when the limits are broken by the full number of rows.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.processes import judge_ratio, judge_seconds
from mlgitops.judgement.policy import parse_policy
from mlgitops.monitoring.facts import measure_log
from mlgitops.monitoring.label_store import LabelStore
from mlgitops.monitoring.plan import make_plan
from mlgitops.monitoring.sources import list_folder

ROOT = Path(__file__).parents[1]
FLIGHTS = ROOT / "{{cookiecutter.project_slug}}" / "data" / "bundled" / "flights"
MODEL = "5e" * 32
FULL, SECONDS, MEGABYTES = 10_000_000, 60.0, 1024.0
_TEMPLATES = 2000
_AIRLINES = ["9E", "AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN"]


def main(arguments: list[str] | None = None) -> bool:
    """Make a log, measure it, print seconds and memory; tell whether all is as required."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=FULL)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--keep", type=Path, help="folder of a log that is made once")
    options = parser.parse_args(arguments or [])
    with tempfile.TemporaryDirectory(prefix="mlgitops-monitoring-") as name:
        folder = options.keep or Path(name)
        if not (folder / "labels").is_dir():
            make_log(folder, options.rows, options.days)
        return measure(folder, options.rows)


def measure(folder: Path, rows: int) -> bool:
    """Measure the log in ``folder`` and hold the figures against the limits."""
    policy = parse_policy((FLIGHTS / "policy.yaml").read_bytes(), where="policy.yaml")
    params, contract = FLIGHTS / "params.yaml", FLIGHTS / "contract.yaml"
    plan = make_plan(policy, params.read_bytes(), contract.read_bytes())
    start = time.perf_counter()
    parts = list_folder(folder / "requests", "2026-01-01", "2027-01-01")
    measured = measure_log(parts, LabelStore(folder=folder / "labels"), plan)
    seconds = time.perf_counter() - start
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own, child = (usage.ru_maxrss / 1024 for usage in usages)
    megabytes = own + 2 * child  # at most: the two children are not at their most at once
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = time.process_time() + children.ru_utime + children.ru_stime
    size = sum(path.stat().st_size for path in (folder / "requests").iterdir())
    print(f"{rows:,} rows, {size / 1e6:,.0f} MB of log: {seconds:.1f} s, {cpu:.1f} s of processor")
    print(f"memory: {own:.0f} MB and two times {child:.0f} MB at most")
    print(f"{len(measured.facts):,} facts; {sum(measured.problems.counts.values())} lines left out")
    counted = sum(fact.numerator for fact in measured.facts if fact.name == "rows")
    if counted != rows or measured.problems.counts:
        return False
    if rows < FULL:
        return True
    is_quick = judge_seconds("seconds by the clock", seconds, SECONDS)
    return judge_ratio("megabytes at most", megabytes, MEGABYTES, at_least=False) and is_quick


def make_log(folder: Path, rows: int, days: int) -> None:
    """Write requests and labels, one file of each for a day."""
    drawn = random.Random(0)  # noqa: S311 - it need not be secret
    templates = [_make_template(drawn) for _ in range(_TEMPLATES)]
    for name in ("requests", "labels"):
        (folder / name).mkdir(parents=True)
    first = dt.date(2026, 6, 1)
    for number in range(days):
        day = str(first + dt.timedelta(days=number))
        count = rows // days + (number < rows % days)
        requests = folder / "requests" / f"{day}-00c0ffee.jsonl"
        with requests.open("w") as log, (folder / "labels" / f"{day}.jsonl").open("w") as labels:
            for row in range(count):
                before, after = templates[row % _TEMPLATES]
                score = drawn.random()
                row_id = f"{day}-{row:09d}/0"
                log.write(
                    f'{{"v":1,"id":"{row_id}","at":"{day}T12:00:00.000Z"{before}'
                    f'"score":{score:.9f},"answer":{int(score > 0.3)}{after}'  # noqa: PLR2004
                )
                outcome = int(drawn.random() < score)
                labels.write(f'{{"v":1,"id":"{row_id}","outcome":{outcome},"at":"{day}"}}\n')


def _make_template(drawn: random.Random) -> tuple[str, str]:
    """Return what stands before and after the score of a row."""
    weather = f"{drawn.uniform(10, 90):.2f}" if drawn.random() > 0.1 else "null"  # noqa: PLR2004
    inputs = (
        f'{{"dep_hour":{drawn.randint(5, 23)}.0,"arr_hour":{drawn.randint(0, 23)}.0,'
        f'"distance":{drawn.randint(90, 2600)}.0,"recent_delay":{drawn.uniform(-9, 90):.4f},'
        f'"temp":{weather},"humid":{weather},"wind_dir":{drawn.randint(0, 36) * 10}.0,'
        f'"wind_speed":{drawn.uniform(0, 40):.5f},"precip":0.0,'
        f'"pressure":{drawn.uniform(990, 1030):.1f},"visib":10.0,'
        f'"weekday":"{drawn.choice(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])}",'
        f'"carrier":"{drawn.choice(_AIRLINES)}","origin":"{drawn.choice(["EWR", "JFK", "LGA"])}",'
        f'"dest":"{drawn.choice(["ATL", "BOS", "ORD", "SFO"])}"}}'
    )
    return f',"model":"{MODEL}","inputs":{inputs},', "}\n"


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:]))
