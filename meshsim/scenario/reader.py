"""Reading scenario files from disk: one file, the files it includes, and the Istio files it names, as one tree."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from meshsim.errors import Problem, ScenarioError
from meshsim.scenario.compose import compose
from meshsim.scenario.tree import Node, Place, merged, printable

#: Largest file that is read, in bytes.
MAX_BYTES = 5_000_000
#: Includes within includes.
_MAX_INCLUDES = 20
#: Characters that YAML forbids outside escapes.
_UNPRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_text(file: str) -> str:
    """Return a file's text.

    Parameters
    ----------
    file
        Its path.

    Raises
    ------
    ScenarioError
        If it is missing, a directory, a pipe or a device, unreadable, too large or not UTF-8 text.

    Examples
    --------
    >>> read_text("no/such/file.yaml")
    Traceback (most recent call last):
    meshsim.errors.ScenarioError: no/such/file.yaml: no such file
    """
    try:
        _refuse_special(file)
        with Path(file).open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            raw = stream.read(MAX_BYTES + 1) if size <= MAX_BYTES else b""
    except (OSError, ValueError) as error:
        raise ScenarioError([Problem(_unreadable(error), "", file)]) from None
    if max(size, len(raw)) > MAX_BYTES:
        shown = f"{size / 1e6:.1f} MB" if size > MAX_BYTES else "more"
        message = f"the file has {shown}; a scenario has at most {MAX_BYTES / 1e6:.0f} MB"
        raise ScenarioError([Problem(message, "", file)])
    return decode(raw, file)


def _refuse_special(file: str) -> None:
    """Refuse what is not a file before it is opened: opening a pipe waits for whoever writes to it."""
    mode = Path(file).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        message = "is not a regular file but a pipe, a socket or a device; save it as a file first"
        raise ScenarioError([Problem(message, "", file)])


def _unreadable(error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return "no such file"
        case IsADirectoryError():
            return "is a directory; name a file"
        case PermissionError():
            return "no permission to read it"
        case OSError():
            return f"cannot be read: {error.strerror}"
    return "is not a file name"


def decode(raw: bytes, file: str) -> str:
    r"""Return bytes as text without a byte-order mark.

    Raises
    ------
    ScenarioError
        If they are not UTF-8, or hold characters that no text file has.

    Examples
    --------
    >>> decode(b"name: caf\xc3\xa9", "f.yaml")
    'name: café'
    """
    if 0 in raw:
        message = "a NUL byte: this is a binary file, or not UTF-8"
        raise ScenarioError([Problem(message, "", file, raw[: raw.index(0)].count(b"\n") + 1)])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        message = f"the byte 0x{raw[error.start]:02x} is not UTF-8 text"
        raise ScenarioError([Problem(message, "", file, line)]) from None
    if wrong := _UNPRINTABLE.search(text):
        line = text[: wrong.start()].count("\n") + 1
        message = f"the character U+{ord(wrong[0]):04X} is not allowed in YAML"
        raise ScenarioError([Problem(message, "", file, line)])
    return text


def read_documents(file: str) -> list[Node]:
    """Return all non-empty YAML documents of a file.

    Raises
    ------
    ScenarioError
        If the file cannot be read or is not YAML.

    Examples
    --------
    >>> read_documents("no/such/file.yaml")
    Traceback (most recent call last):
    meshsim.errors.ScenarioError: no/such/file.yaml: no such file
    """
    return compose(read_text(file), file)


def read_mapping(file: str) -> Node:
    """Return the one mapping that a scenario file holds, includes not yet followed.

    Raises
    ------
    ScenarioError
        If the file cannot be read, is not YAML, is empty or holds something else.

    Examples
    --------
    >>> read_mapping("no/such/file.yaml")
    Traceback (most recent call last):
    meshsim.errors.ScenarioError: no/such/file.yaml: no such file
    """
    documents = read_documents(file)
    if not documents:
        message = "the file is empty; a scenario begins with name:, regions:, clusters: …"
        raise ScenarioError([Problem(message, "", file)])
    if len(documents) > 1:
        place = documents[1].place
        message = f"a second YAML document begins here; a scenario is one document, this file has {len(documents)}"
        raise ScenarioError([Problem(message, "", file, place.line)])
    return _a_mapping(documents[0], file)


def _a_mapping(root: Node, file: str) -> Node:
    if not isinstance(root.value, dict):
        found = "a list" if isinstance(root.value, list) else f"the value {str(root.value)[:40]!r}"
        message = f"found {found}; a scenario is a mapping with name:, regions:, clusters: …"
        raise ScenarioError([Problem(message, "", file, root.place.line)])
    return root


def read(file: str) -> Node:
    """Return a scenario file with its includes merged under it.

    Parameters
    ----------
    file
        Its path; the includes in it are relative to it.

    Raises
    ------
    ScenarioError
        With everything that is wrong with the files, not yet with what they say.

    Examples
    --------
    >>> read("no/such/file.yaml")
    Traceback (most recent call last):
    meshsim.errors.ScenarioError: no/such/file.yaml: no such file
    """
    return _Includes().read(file, (), Place())


def with_includes(root: Node) -> Node:
    """Return a document with its includes merged under it, each relative to the file that names it.

    Raises
    ------
    ScenarioError
        If an included file cannot be read.

    Examples
    --------
    >>> from meshsim.scenario.tree import from_python
    >>> with_includes(from_python({"name": "a", "include": []})).plain()
    {'name': 'a'}
    """
    return _Includes().resolve(root, ())


def beside(place: Place, name: str) -> str:
    """Return the path of a file named in another file (or in a dict or an option: relative to the working directory).

    Examples
    --------
    >>> beside(Place("scenarios/a.yaml", 3), "../istio/cart.yaml")
    'istio/cart.yaml'
    """
    # normpath and not Path, which would keep the a/../ of files that include their neighbours.
    return os.path.normpath(Path(place.file).parent / name if place.line else name)


class _Includes:
    """Reads each included file once, however often it is included."""

    def __init__(self) -> None:
        self.done: dict[str, Node] = {}

    def read(self, file: str, chain: tuple[str, ...], asked: Place) -> Node:
        # A name with NUL is no path at all: reading it says so.
        identity = os.path.realpath(file) if "\0" not in file else file
        if identity in [os.path.realpath(name) for name in chain]:
            message = "files include each other: " + " → ".join([*chain, file])
            raise ScenarioError([Problem(message, "include", asked.file, asked.line)])
        if len(chain) > _MAX_INCLUDES:
            message = f"more than {_MAX_INCLUDES} includes within includes"
            raise ScenarioError([Problem(message, "include", asked.file, asked.line)])
        if identity not in self.done:
            self.done[identity] = self.resolve(read_mapping(file), (*chain, file))
        return self.done[identity]

    def resolve(self, root: Node, chain: tuple[str, ...]) -> Node:
        """Merge what a document includes under the document itself."""
        under = Node({}, root.place)
        problems: list[Problem] = []
        for index, (name, place) in enumerate(_include_names(root)):
            try:
                under = merged(under, self.read(beside(place, name), chain, place))
            except ScenarioError as error:
                problems += [asked_by(problem, f"include[{index}]", place) for problem in error.problems]
        if problems:
            raise ScenarioError(problems)
        return merged(under, root.without("include"))


def _include_names(root: Node) -> list[tuple[str, Place]]:
    node = root.child("include")
    if node is None or node.value is None:
        return []
    place = root.locate(("include",))
    if isinstance(node.value, str):
        message = f"is a list of files; write [{node.value}]"
        raise ScenarioError([Problem(message, "include", place.file, place.line)])
    if not isinstance(node.value, list):
        raise ScenarioError([Problem("is a list of files", "include", place.file, place.line)])
    names = [(item.value, item.place) for item in node.value if isinstance(item.value, str) and item.value]
    if len(names) < len(node.value):
        raise ScenarioError([Problem("is a list of file names", "include", place.file, place.line)])
    return names


def asked_by(problem: Problem, path: str, place: Place) -> Problem:
    """Return a problem with a whole file as a problem of the line that names the file.

    Examples
    --------
    >>> str(asked_by(Problem("no such file", "", "b.yaml"), "include[0]", Place("a.yaml", 3)))
    'a.yaml:3: include[0]: b.yaml: no such file'
    """
    if problem.line or problem.path:
        return problem
    return Problem(f"{printable(problem.file)}: {problem.message}", path, place.file, place.line)
