"""The shape of the repository: which folder may include which, where backends are named, files' sizes, and that what
docs/ quotes is still in the code."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
DOCS = sorted((ROOT / "docs").glob("*.md")) + [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]

# A folder of src/ includes from itself and from folders before it.
ORDER = ["base", "stats", "ops", "ir", "engine", "backend", "onnx", "passes", "lowering", "autotune", "calibration",
         "compiler", "runtime", "api", "monitor", "server"]
# What runs engines is linked without what builds them.
BUILD_TIME = ["onnx", "passes", "lowering", "autotune", "calibration", "compiler"]
RUN_TIME = ["runtime", "monitor", "server"]

# Files that may have more than 600 lines, with the reason.
LONG_FILES = {}
# Paths that docs/ speaks of as what may be there.
OPTIONAL_PATHS = {"python/tests"}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)


def sources(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in (".h", ".cc", ".inc", ".c", ".cpp"))


def includes(path):
    return INCLUDE.findall(path.read_text())


def line_of(path, text):
    lines = path.read_text().splitlines()
    return next((i for i, line in enumerate(lines, 1) if text in line), 0)


def test_every_folder_is_in_the_order():
    unknown = sorted(p.name for p in SRC.iterdir() if p.is_dir() and p.name not in ORDER)
    assert not unknown, f"folders of src/ that ORDER does not know: {unknown}"


@pytest.mark.parametrize("folder", ORDER)
def test_a_folder_includes_only_from_those_before_it(folder):
    allowed = ORDER[:ORDER.index(folder) + 1]
    if folder in RUN_TIME:
        allowed = [f for f in allowed if f not in BUILD_TIME]
    wrong = []
    for path in sources(SRC / folder):
        for name in includes(path):
            top = name.split("/")[0]
            if top in ORDER and top not in allowed:
                wrong.append(f"{path.relative_to(ROOT)}:{line_of(path, name)} includes {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", ORDER)
def test_includes_name_the_folder(folder):
    """As "base/dim.h", so that the order can be read off; what is generated or from outside is left alone."""
    wrong = []
    for path in sources(SRC / folder):
        for name in includes(path):
            if ("/" not in name and (path.parent / name).exists()) or ".." in name.split("/"):
                wrong.append(f"{path.relative_to(ROOT)}:{line_of(path, name)} includes {name}")
    assert not wrong, "\n".join(wrong)


def test_the_public_face_includes_nothing_from_inside():
    wrong = [f"{path.relative_to(ROOT)} includes {name}" for path in sources(ROOT / "include") for name in includes(path)
             if not name.startswith("tenon/")]
    assert not wrong, "\n".join(wrong)


def backends():
    return sorted(p.name for p in (SRC / "backend").iterdir() if p.is_dir())


@pytest.mark.parametrize("folder", ["ops", "ir", "passes"])
def test_no_backend_is_named(folder):
    """No include, no namespace, no "cpu" as a string."""
    names = "|".join(sorted(set(backends()) | {"cpu", "cuda", "reference"}))
    named = re.compile(rf'\b({names})\s*::|\bnamespace\s+(\w+::)*({names})\b|"({names})(:\w*)?"|include\s+"backend/')
    wrong = []
    for path in sources(SRC / folder):
        code = COMMENT.sub(lambda m: "\n" * m.group().count("\n"), path.read_text())
        for i, line in enumerate(code.splitlines(), 1):
            if named.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{i}: {line.strip()}")
    assert not wrong, "\n".join(wrong)


def test_sizes():
    folders = ["src", "include", "tools", "python", "tests", "bench", "examples", "scripts"]
    long, seen = [], set()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".h", ".cc", ".c", ".py", ".sh", ".pyi") or "__pycache__" in path.parts:
                continue
            name, lines = str(path.relative_to(ROOT)), len(path.read_text().splitlines())
            if lines > 600:
                seen.add(name)
                if name not in LONG_FILES:
                    long.append(f"{name} has {lines} lines")
    assert not long, "split it, or give a reason in LONG_FILES:\n" + "\n".join(long)
    assert seen == set(LONG_FILES), f"no longer over 600 lines: {set(LONG_FILES) - seen}"


# ---- docs ----------------------------------------------------------------------------------------------------------
#
# An excerpt names its file behind the language: ```cpp src/ops/relu.cc. Each of its lines stands in that file, in one
# piece; a line with nothing but an ellipsis leaves something out.

FENCE = re.compile(r"^```(\w+)[ \t]+(\S+)[ \t]*\n(.*?)^```", re.M | re.S)


def excerpts():
    found = []
    for doc in DOCS:
        for m in FENCE.finditer(doc.read_text()):
            line = doc.read_text()[:m.start()].count("\n") + 1
            found.append(pytest.param(m.group(2), m.group(3), id=f"{doc.name}:{line}"))
    return found


def plain(text):
    return "\n".join(line.strip() for line in text.strip("\n").splitlines() if line.strip())


@pytest.mark.parametrize("name, text", excerpts())
def test_excerpts_are_in_the_code(name, text):
    path = ROOT / name
    assert path.is_file(), f"{name} does not exist"
    code, at = plain(path.read_text()), 0
    for piece in re.split(r"^[ \t]*(?://[ \t]*)?…[ \t]*$", text, flags=re.M):
        piece = plain(piece)
        found = code.find(piece, at)
        assert found >= 0, f"{name} does not hold, in this order:\n{piece}"
        at = found + len(piece)


@pytest.mark.parametrize("doc", DOCS, ids=lambda p: p.name)
def test_what_docs_point_to_exists(doc):
    """Links, and paths in backquotes that begin with a folder of the repository. PATH, NAME and <...> stand for any."""
    text = re.sub(r"^```.*?^```", "", doc.read_text(), flags=re.M | re.S)
    wrong = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
             if "://" not in link and not (doc.parent / link).exists()]
    tops = "|".join(p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name != "build")
    for path in re.findall(rf"`((?:{tops})/[^`\s]*)`", text):
        if not re.search(r"[A-Z]{3}|[<>*{…]", path) and path not in OPTIONAL_PATHS and not (ROOT / path).exists():
            wrong.append(path)
    assert not wrong, f"{doc.name} points to what is not there: {wrong}"
