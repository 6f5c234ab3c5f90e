"""Reads JUnit files and prints `passed failed skipped`, summed over them: ctest's, pytest's and the stages' own.

    count.py FILE.xml...
    count.py --failures FILE.xml...     names of the failed cases, one a line
"""
import sys
import xml.etree.ElementTree as ElementTree


def outcome(case):
    """ctest marks a disabled test by its status, everybody a skipped one by a child."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        return "skipped"
    return "passed"


def cases(paths):
    for path in paths:
        yield from ElementTree.parse(path).getroot().iter("testcase")


def main(arguments):
    if arguments[:1] == ["--failures"]:
        for case in cases(arguments[1:]):
            if outcome(case) == "failed":
                print("  " + "::".join(filter(None, [case.get("classname"), case.get("name")])))
        return
    found = [outcome(case) for case in cases(arguments)]
    print(*(found.count(kind) for kind in ("passed", "failed", "skipped")))


if __name__ == "__main__":
    main(sys.argv[1:])
