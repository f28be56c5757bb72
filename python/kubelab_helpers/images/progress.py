"""How far a build is, read from the lines of `docker build --progress=plain`.

There is a form for programs too (--progress=rawjson), but only buildx has it, and Docker 20.10 builds without buildx.
"""

from __future__ import annotations

import re

# `#12 [server 3/7] RUN apt-get update`; the stage is missing where there is one alone, numbers are padded.
STEP = re.compile(r"#(\d+) \[(.*?)\s*(\d+)/(\d+)\] (.+)")
ENDED = re.compile(r"#(\d+) (?:DONE|CACHED)\b")
EXPORT = re.compile(r"#\d+ exporting to image")
NOTE_LENGTH = 60


class BuildProgress:
    """What one build does now (`note`), and which share of it is done (`fraction`, from 0 to 1).

    BuildKit tells of a stage when it begins with it, so that the share is of the stages known so far; it never falls.
    """

    def __init__(self) -> None:
        self.note = ""
        self.fraction = 0.0
        self._steps: dict[str, tuple[str, str]] = {}
        self._totals: dict[str, int] = {}
        self._done: set[tuple[str, str]] = set()

    def read(self, line: str) -> bool:
        """Take in a line and return whether there is anything new to show."""
        if step := STEP.match(line):
            number, stage, position, total, instruction = step.groups()
            self._steps[number] = (stage, position)
            self._totals[stage] = int(total)
            self.note = f"{stage} {position}/{total} {' '.join(instruction.split())}".strip()[:NOTE_LENGTH]
        elif (ended := ENDED.match(line)) and ended[1] in self._steps:
            self._done.add(self._steps[ended[1]])
        elif EXPORT.match(line):
            self.note = "writing the image"
        else:
            return False
        # One more for the export.
        self.fraction = max(self.fraction, len(self._done) / (sum(self._totals.values()) + 1))
        return True
