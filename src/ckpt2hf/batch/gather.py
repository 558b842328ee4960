"""From what a user types after `ckpt2hf batch` to jobs: found, named, and with all that is said about each."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from ckpt2hf.batch import naming
from ckpt2hf.batch.discovery import discover
from ckpt2hf.batch.inputs import nothing_found, read_inputs
from ckpt2hf.batch.job import BatchOptions, Gathered, Job
from ckpt2hf.errors import Ckpt2hfError, UsageError
from ckpt2hf.run import dialect
from ckpt2hf.run.patterns import parts_of
from ckpt2hf.run.settings import Settings
from ckpt2hf.run.settings_file import Entry, SettingsFile, settings_of, together

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ckpt2hf.batch.discovery import Discovery
    from ckpt2hf.batch.inputs import Input
    from ckpt2hf.batch.source import Source
    from ckpt2hf.run.patterns import Parts

_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the command line says about a whole batch; None: nothing."""

    settings: Settings = field(default_factory=Settings)
    """About every checkpoint."""
    threads: int | None = None
    workers: int | None = None
    memory: int | None = None
    grace: float | None = None


def gather(inputs: Sequence[str], out: Path, said: Said | None = None, exclude: Sequence[str] = ()) -> Gathered:
    """The jobs that inputs stand for; nothing of a checkpoint is read, nothing is written.

    Raises UsageError for manifests, patterns and names that make no sense, and if there is no checkpoint at all;
    NotFoundError for what is not there.
    """
    told = said or Said()
    asked = read_inputs(inputs, exclude)
    manifests = list({str(each.manifest.path): each.manifest for each in asked if each.manifest}.values())
    options = _options(told, manifests)
    found = discover([each.search for each in asked], out)
    nothing_found(each for number, each in enumerate(asked) if number not in found.touched)
    if not found.sources:
        raise _no_checkpoint(inputs, found)
    plans = _plans(found.sources, asked)
    _refuse_unmet(manifests, plans, found)
    names = _names(found.sources, plans, _root([each.anchor for each in asked]))
    for word in {word for plan in plans if (word := plan.dialect(told)) is not None}:
        dialect(word)  # a wrong one is wrong for every checkpoint
    jobs = [
        _job(source, plan, name, (out, told)) for source, plan, name in zip(found.sources, plans, names, strict=True)
    ]
    return Gathered(
        jobs=tuple(sorted(jobs, key=lambda job: naming.natural(tuple(job.name.split("/"))))),
        skipped=found.skipped,
        options=options,
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """What files say about one checkpoint."""

    settings: Settings
    entries: tuple[Entry, ...]
    """Of the manifest."""
    manifest: SettingsFile | None

    def dialect(self, said: Said) -> str | Path | None:
        return said.settings.dialect or self.settings.dialect

    @property
    def name(self) -> str | None:
        return next((entry.name for entry in reversed(self.entries) if entry.name), None)


def _plans(sources: Sequence[Source], asked: Sequence[Input]) -> list[_Plan]:
    """The manifest's entries first, then the file beside the checkpoint, then the top of the manifest.

    Raises UsageError with everything that is wrong in any file beside a checkpoint.
    """
    plans = []
    beside: dict[Path, SettingsFile | None] = {}
    problems: list[Ckpt2hfError] = []
    for source in sources:
        manifest = asked[source.search].manifest
        if source.folder not in beside:
            try:
                beside[source.folder] = settings_of(source.folder)
            except Ckpt2hfError as problem:
                problems.append(problem)
                beside[source.folder] = None
        file = beside[source.folder]
        paths = [source.parts, *(parts_of(path) for path in source.files)]
        entries = tuple(manifest.matching(paths)) if manifest else ()
        settings = manifest.settings if manifest else Settings()
        if file and not (manifest and parts_of(file.path) == parts_of(manifest.path)):
            settings = together(file.matching(paths)).over(file.settings).over(settings)
        plans.append(_Plan(together(entries).over(settings), entries, manifest))
    if len(problems) == 1:
        raise problems[0]
    if problems:
        details = [line for each in problems for line in (f"{each.where}:", each.what, *each.details)]
        raise UsageError(f"{len(problems)} settings files beside checkpoints are wrong", details=details)
    return plans


def _job(source: Source, plan: _Plan, name: Parts, context: tuple[Path, Said]) -> Job:
    out, told = context
    settings = told.settings.over(plan.settings)
    defaults = {"retries": settings.retries} if settings.retries is not None else {}
    return Job(
        name="/".join(name),
        request=settings.request(source.path),
        writing=settings.writing(out.joinpath(*name), threads=told.threads or 0),
        files=source.files,
        nbytes=source.nbytes,
        timeout=settings.timeout,
        **defaults,
    )


def _options(said: Said, manifests: Sequence[SettingsFile]) -> BatchOptions:
    """The command line's word, or the manifests', which have to agree. Raises UsageError."""
    chosen: dict[str, int | float] = {}
    problems = []
    for word in ("workers", "memory", "grace"):
        told = {m.path: value for m in manifests if m.batch and (value := getattr(m.batch, word)) is not None}
        mine = getattr(said, word)
        if mine is not None:
            chosen[word] = mine
        elif len(set(told.values())) > 1:
            problems.append(f"{word}: " + ", ".join(f"{value} in {path}" for path, value in told.items()))
        elif told:
            chosen[word] = next(iter(told.values()))
    if problems:
        raise UsageError("the manifests disagree", details=problems, remedies=["say it on the command line"])
    return BatchOptions(**chosen)  # type: ignore[arg-type]


def _refuse_unmet(manifests: Sequence[SettingsFile], plans: Sequence[_Plan], found: Discovery) -> None:
    """Every entry has to speak of a checkpoint, one with a name of exactly one. Raises UsageError."""
    met: dict[tuple[str, int], int] = {}
    for plan in plans:
        for entry in plan.entries:
            key = (str(plan.manifest.path) if plan.manifest else "", entry.number)
            met[key] = met.get(key, 0) + 1
    why = {parts_of(each.path): each.why for each in found.skipped}
    problems, where = [], []
    for manifest in manifests:
        for entry in manifest.entries:
            count = met.get((str(manifest.path), entry.number), 0)
            reason = why.get(entry.pattern.exact)
            if not count:
                problems.append(f"{entry}: no checkpoint is there" + (f" ({reason})" if reason else ""))
            elif entry.name and count > 1:
                problems.append(f"{entry}: {count} checkpoints cannot all be called {entry.name}")
            elif entry.name and (wrong := naming.problem(tuple(entry.name.split("/")))):
                problems.append(f"{entry}: {entry.name} cannot be a name: {wrong}")
            else:
                continue
            where.append(str(manifest.path))
    if problems:
        raise UsageError(
            problems[0] if len(problems) == 1 else f"{len(problems)} entries do not fit what was found",
            details=problems if len(problems) > 1 else (),
            where=", ".join(dict.fromkeys(where)),
            remedies=["paths are relative to the manifest; [batch] inputs says where checkpoints are looked for"],
        )


def _names(sources: Sequence[Source], plans: Sequence[_Plan], root: Parts) -> list[Parts]:
    """The name of each checkpoint. Raises UsageError where names that the user chose exclude each other."""
    given = {k: tuple(plan.name.split("/")) for k, plan in enumerate(plans) if plan.name}
    chosen = naming.clash(list(given.values()))
    if chosen:
        first, second = (list(given)[k] for k in chosen)
        raise UsageError(
            f"two checkpoints cannot be called {'/'.join(given[first])} and {'/'.join(given[second])}",
            details=[str(sources[first].path), str(sources[second].path)],
            remedies=["names that differ, and none of them a directory above another"],
        )
    title = root[-1] if root else "checkpoint"
    places = [naming.Place(source.parts[len(root) :], title, whole=source.whole) for source in sources]
    return naming.names(places, given)


def _root(anchors: Sequence[Parts]) -> Parts:
    """The deepest directory that all inputs lie in."""
    same = (column[0] for column in takewhile(lambda column: len(set(column)) == 1, zip(*anchors, strict=False)))
    return tuple(same)


def _no_checkpoint(inputs: Sequence[str], found: Discovery) -> UsageError:
    more = len(found.skipped) - _SHOWN
    return UsageError(
        f"there is no checkpoint in {', '.join(inputs[:_SHOWN])}",
        details=[
            *(f"{each.path}: {each.why}" for each in found.skipped[:_SHOWN]),
            *([f"and {more} more"] if more > 0 else []),
        ],
        remedies=["name a file whatever it is called, as `path` of a [[checkpoint]] in a manifest (docs/manifest.md)"],
    )
