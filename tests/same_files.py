"""A directory that came from a store, against the one that came from a disk: the same but for where the source was."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAMING = {"conversion.json", "README.md", "SHA256SUMS"}
"""Files that tell of the source, or have the digest of one that does."""
SEEN = re.compile(r"(?<=B \| )(?:`[0-9a-f]{64}`|not [^|]*)(?= \|)")
"""In a card: what is known of the content of a source file."""


def files_of(local: Path) -> dict[str, bytes]:
    """Every file of a directory."""
    return {path.name: path.read_bytes() for path in local.iterdir()}


def assert_same_files(remote: Mapping[str, bytes], local: Mapping[str, bytes]) -> None:
    """Raises AssertionError unless they are."""
    assert set(remote) == set(local)
    assert {name: data for name, data in remote.items() if name not in NAMING} == {
        name: data for name, data in local.items() if name not in NAMING
    }
    assert comparable(remote["conversion.json"]) == comparable(local["conversion.json"])
    cards = [files["README.md"].decode() for files in (remote, local)]
    sources = len(json.loads(local["conversion.json"])["source"]["files"])
    assert [len(SEEN.findall(card)) for card in cards] == [sources, sources]
    assert SEEN.sub("", cards[0]) == SEEN.sub("", cards[1])
    for files in (remote, local):
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items()) if name != "SHA256SUMS"}
        assert files["SHA256SUMS"].decode() == "".join(f"{digest}  {name}\n" for name, digest in sums.items())


def comparable(report: bytes) -> dict[str, Any]:
    """A report without what tells a remote conversion from a local one."""
    tree: dict[str, Any] = json.loads(report)
    tree.pop("output")
    tree["source"].pop("path")
    for file in tree["source"]["files"]:
        digest, tag = file.pop("sha256"), file.pop("etag")
        assert digest is None or tag is None
    return tree
