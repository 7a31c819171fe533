"""Sum test runs: summary.py JUNIT.xml... prints one line; the exit code is 1 if anything failed or a run is missing."""

import sys
from pathlib import Path
from xml.etree import ElementTree


def main(paths: list[Path]) -> int:
    passed = failed = skipped = 0
    for path in paths:
        if not path.exists():
            print(f"no results of {path.stem}: it did not come to its end")
            failed += 1
            continue
        for suite in ElementTree.parse(path).iter("testsuite"):
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            left_out = int(suite.get("skipped", 0))
            passed += int(suite.get("tests", 0)) - bad - left_out
            failed += bad
            skipped += left_out
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
