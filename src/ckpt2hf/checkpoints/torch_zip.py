"""Files of `torch.save` since PyTorch 1.6: a zip archive with one pickle and one record per storage.

Source: pytorch/pytorch torch/serialization.py (_save, _load).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import archive, torch_objects
from ckpt2hf.checkpoints.cursor import Budget, Cursor
from ckpt2hf.checkpoints.unpickling import unpickle
from ckpt2hf.checkpoints.values import Storage
from ckpt2hf.errors import CheckpointError

if TYPE_CHECKING:
    from ckpt2hf.files import Span

TITLE = "torch zip file"
PICKLE = "data.pkl"


class _Records:
    """Storages by key: the archive's records."""

    def __init__(self, records: dict[str, Span], root: str) -> None:
        self.records = records
        self.root = root
        self.known: dict[str, Storage] = {}

    def persistent(self, identity: object) -> Storage:
        """The storage of `("storage", class, key, location, numel)`."""
        if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":  # noqa: PLR2004
            raise ValueError("an unknown kind of persistent id")
        _, kind, key, _, numel = identity
        name, item = torch_objects.storage_type(kind)
        if not isinstance(key, str):
            raise TypeError("a storage key that is no string")
        known = self.known.get(key)
        if known is None:
            known = self.known[key] = self._storage(key, name)
        if known.torch_name != name:
            raise ValueError(f"storage {key} is said to be {known.torch_name} and {name}")
        if torch_objects.count(numel) * item != known.span.nbytes:
            raise ValueError(f"storage {key} should have {numel} elements of {name}, but {known.span.nbytes} bytes")
        return known

    def _storage(self, key: str, name: str) -> Storage:
        span = self.records.get(f"{self.root}data/{key}")
        if span is None:
            raise LookupError(f"the record data/{key} is missing from the archive")
        return Storage(span, torch_objects.dtype_or_none(name), name)

    def nested(self, blob: memoryview | bytes) -> Storage:
        """Never in this format. Raises ValueError."""
        raise ValueError(f"a file of {len(blob)} bytes inside the pickle of a zip archive")


def read(zipped: Span, budget: Budget | None = None) -> object:
    """The pickled tree, its tensors windows into its file. Raises CheckpointError."""
    contents = archive.read(zipped)
    records, where = contents.records, str(zipped.file.path)
    pickles = [name for name in records if name == PICKLE or name.endswith(f"/{PICKLE}")]
    roots = {name.removesuffix(PICKLE) for name in pickles if name.count("/") <= 1}
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in records):
        raise CheckpointError(
            "this is a TorchScript archive: a program, not a checkpoint",
            where=where,
            remedies=["load it with torch.jit.load and save its weights: torch.save(model.state_dict(), path)"],
        )
    if len(roots) != 1:
        raise _no_checkpoint(records, where)
    if contents.compressed:
        raise CheckpointError(
            "the records of this zip archive are compressed",
            details=[f"{contents.compressed[0]}: a zip program made the archive, not torch.save"],
            where=where,
            remedies=["unpack it and pack it again without compression (zip -0 -r)", "save it again with torch.save"],
        )
    root = roots.pop()
    _check_byte_order(records.get(f"{root}byteorder"), where)
    pickle = records[f"{root}{PICKLE}"]
    zipped.file.prefetch([(pickle.start, pickle.nbytes)])
    return unpickle(Cursor(pickle), _Records(records, root), budget or Budget(), where=f"{where}, {root}{PICKLE}")


def _check_byte_order(span: Span | None, where: str) -> None:
    order = bytes(span.part(0, 16)).strip() if span else b"little"
    if order != b"little":
        raise CheckpointError(
            f"the tensors are stored in {order.decode('ascii', 'replace')}-endian byte order",
            where=where,
            remedies=["load and save the file again on a little-endian machine (any x86 or ARM computer)"],
        )


def _no_checkpoint(records: dict[str, Span], where: str) -> CheckpointError:
    names = list(records)
    if names and all(name.endswith(".npy") for name in names):
        what, remedy = "this is a NumPy .npz archive", "put the arrays into a state_dict and torch.save it"
    elif any(name.endswith((".weights.h5", "model.weights.h5")) for name in names):
        what, remedy = "this is a Keras model", "ckpt2hf reads PyTorch checkpoints and safetensors"
    elif any(name.endswith(f"/{PICKLE}") or name == PICKLE for name in names):
        what, remedy = "this zip archive holds several pickles", "unpack it and name the checkpoint inside"
    else:
        what, remedy = "this zip archive was not made by torch.save", "unpack it and name the checkpoint inside"
    seen = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")  # noqa: PLR2004  enough to recognise it
    return CheckpointError(what, details=[f"its records: {seen or 'none'}"], where=where, remedies=[remedy])
