"""Run benchmarks: all but the cold ones and the images' by default, or those named. Results go to bench/results/."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from kubelab_helpers.cli.render import print_table
from tests.bench.measure import DEFAULT, MEASUREMENTS, describe_machine

RESULTS = Path("bench/results")


def main(names: list[str]) -> int:
    """Measure, write one JSON file a measurement, and print a table."""
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        sys.stderr.write(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}\n")
        return 2
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in names or DEFAULT:
        sys.stderr.write(f"measuring {name}\n")
        began = datetime.now(UTC).isoformat(timespec="seconds")
        machine = describe_machine()
        figures = MEASUREMENTS[name]()
        result = {"benchmark": name, "time": began, "machine": machine, "figures": figures}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
        rows += [[name, key, json.dumps(value)] for key, value in figures.items()]
    print_table(("benchmark", "figure", "value"), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
