"""What do wrong scenarios, flags, commands, worlds, models and data say? A table of how many a stranger could mend.

    python benchmarks/mistakes.py [FOLDER] [--only TEXT] [--write FILE]

Without a folder it is the corpus of the tests. A folder holds a corpus of the form NNN-name.json + NNN-name.files/ +
support/. "repairable" is said of a mistake that ends with the right exit code within ten seconds, without a traceback,
and says where it stands, what was found and what is allowed (the patterns of its case). Each case runs in a child that
is forked from a process with everything imported, so that its seconds do not hold the 3 seconds of the imports.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "mistakes"))

from corpus import CORPUS
from harness import Verdict, new_maker
from mistake_cases import Case, cases_in


def main() -> None:
    """Make them all, print a line for each, and the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", nargs="?", type=Path)
    arguments.add_argument("--only", default="", help="cases whose name holds this text")
    arguments.add_argument("--write", type=Path, help="a JSON file for all that was said")
    options = arguments.parse_args()
    verdicts: dict[str, list[Verdict]] = {}
    with new_maker() as maker:
        for class_, cases in _corpus(options.folder).items():
            for case in cases:
                if options.only in f"{class_}-{case.name}":
                    verdict = maker.make(case)
                    verdicts.setdefault(class_, []).append(verdict)
                    missing = f"  not said: {verdict.missing}" if verdict.missing else ""
                    print(
                        f"{class_:8} {case.name:44.44} {verdict.word:12} {verdict.seconds:5.1f} s{missing}", flush=True
                    )
    _print_table(verdicts)
    if options.write:
        rows = [_row(class_, verdict) for class_, of_class in verdicts.items() for verdict in of_class]
        options.write.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")


def _corpus(folder: Path | None) -> dict[str, list[Case]]:
    if folder is None:
        return CORPUS
    result: dict[str, list[Case]] = {}
    for case in cases_in(folder, Path(tempfile.mkdtemp(prefix="models-"))):
        class_ = json.loads((folder / f"{case.name}.json").read_text(encoding="utf-8")).get("class", "")
        result.setdefault(class_, []).append(case)
    return result


def _print_table(verdicts: dict[str, list[Verdict]]) -> None:
    words = ("repairable", "fine", "silent", "traceback", "hang", "late", "unclear")
    print(f"\n| class | cases | {' | '.join(words)} | other |\n|---|---:|{'---:|' * (len(words) + 1)}")
    for class_, of_class in [*verdicts.items(), ("all", [one for many in verdicts.values() for one in many])]:
        counts = Counter(verdict.word for verdict in of_class)
        other = sum(counts.values()) - sum(counts[word] for word in words)
        print(f"| {class_} | {len(of_class)} | {' | '.join(str(counts[word]) for word in words)} | {other} |")


def _row(class_: str, verdict: Verdict) -> dict[str, object]:
    said = {"stderr": verdict.err, "stdout": verdict.out[-2000:]}
    found = {"exit": verdict.exit, "seconds": round(verdict.seconds, 1), "missing": verdict.missing}
    return {"class": class_, "name": verdict.case.name, "verdict": verdict.word, **found, **said}


if __name__ == "__main__":
    main()
