"""Which versions of the exported models TensorFlow Serving is to load, as the text of its `models.config`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mi_keras.errors import InputError
from mi_keras.serving.exports import ExportedVersion, exports_in
from mi_keras.serving.layout import FOLDER, MODEL_NAME, NAME_RULE, models_in

FILE = "models.config"
BASE_PATH = "/models"  # where the container sees the folder
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_BASE = re.compile(r"/[A-Za-z0-9_./-]*")
_HEADER = "# Written by `mi-keras serve-config`, which replaces the whole file.\n"


@dataclass(frozen=True)
class ExportedModel:
    """The versions of one model on the disk.

    Attributes:
        name: of the model and of its folder.
        versions: those that are whole, ascending.
        broken: numeric folders that are not, each with the reason. The server would try to load them.
    """

    name: str
    versions: tuple[int, ...]
    broken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ServedVersions:
    """One entry of the configuration: a model, its versions to load, and labels on some of them.

    Attributes:
        policy: `latest`, `all` or `specific`.
    """

    name: str
    policy: str
    versions: tuple[int, ...]
    labels: Mapping[str, int] = field(default_factory=dict)


def find_models(folder: Path) -> tuple[list[ExportedModel], dict[str, str]]:
    """Return the models in a folder, and for each subfolder that is none the reason.

    Files are compared with the manifests; no model is loaded.

    Raises:
        InputError: there is no such folder.
    """
    found: dict[str, list[ExportedVersion]] = {path.name: [] for path in models_in(folder)}
    for version in exports_in(folder):
        found.setdefault(version.name, []).append(version)  # it may have appeared just now
    models, skipped = [], {}
    for name, versions in found.items():
        whole = tuple(version.number for version in versions if not version.fault)
        broken = {version.folder.name: version.fault for version in versions if version.fault}
        if not MODEL_NAME.fullmatch(name):
            skipped[name] = f"the name {NAME_RULE}"
        elif whole:
            models.append(ExportedModel(name, whole, broken))
        else:
            reasons = "; ".join(f"version {number}: {fault}" for number, fault in broken.items())
            skipped[name] = reasons or "no folder of a version in it"
    return models, skipped


def configured_names(folder: Path = FOLDER) -> list[str]:
    """Return the names in the `models.config` of a folder; none where there is no such file.

    Raises:
        InputError: it is no text in UTF-8.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"`{path}` must be text in UTF-8; got {error.object[error.start]:#04x} at byte {error.start}."
        ) from None
    return re.findall(rf'^ *name: "({MODEL_NAME.pattern})"$', text, re.MULTILINE)


def asked_versions(keep: str) -> set[int]:
    """Return the numbers that `keep` of `choose_versions` names; none for latest and all.

    Raises:
        InputError: it is neither of these, nor numbers.
    """
    if keep in ("latest", "all"):
        return set()
    if not re.fullmatch(r"[0-9]+(,[0-9]+)*", keep):
        raise InputError(f"`--keep` must be latest, all or numbers such as 1,3; got {keep}.")
    return {int(number) for number in keep.split(",")}


def choose_versions(
    models: Sequence[ExportedModel], keep: str, labels: Sequence[str]
) -> list[ServedVersions]:
    """Return what to serve.

    Args:
        models: as found.
        keep: `latest`, `all`, or numbers such as `1,3`, of which each model serves those that it has.
        labels: `NAME:LABEL=VERSION`, or `NAME:LABEL` for the newest version that is served.

    Raises:
        InputError: `keep` or a label asks for something that is not there.
    """
    asked = _parse_labels(labels)
    known = [model.name for model in models]
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise InputError(f"`--label` must begin with one of: {', '.join(known)}; got {', '.join(unknown)}.")
    chosen = []
    for model in models:
        policy, versions = _policy(model, keep)
        tags = {
            label: max(versions) if version is None else version
            for label, version in asked.get(model.name, {}).items()
        }
        for label, version in tags.items():
            if version not in versions:
                served = ", ".join(map(str, versions))
                raise InputError(
                    f"`--label` must name a version of {model.name} that is served, {served}; got {label}={version}."
                )
        chosen.append(ServedVersions(model.name, policy, versions, tags))
    return chosen


def config_text(chosen: Sequence[ServedVersions], base_path: str = BASE_PATH) -> str:
    """Return the configuration as text of the message `ModelServerConfig`.

    Args:
        chosen: what to serve.
        base_path: where the server sees the folder of the models.

    Raises:
        InputError: `base_path` is not a plain absolute path.
    """
    if not _BASE.fullmatch(base_path):
        raise InputError(
            f"`--base-path` must be an absolute path of letters, digits, `_`, `.`, `-`; got {base_path}."
        )
    return _HEADER + "model_config_list {\n" + "".join(_entry(served, base_path) for served in chosen) + "}\n"


def _entry(served: ServedVersions, base_path: str) -> str:
    policy = {
        "latest": "latest { num_versions: 1 }",
        "all": "all { }",
        "specific": "specific { " + " ".join(f"versions: {version}" for version in served.versions) + " }",
    }[served.policy]
    lines = [
        f'name: "{served.name}"',
        f'base_path: "{base_path.rstrip("/")}/{served.name}"',
        'model_platform: "tensorflow"',
        f"model_version_policy {{ {policy} }}",
        *(
            f'version_labels {{ key: "{label}" value: {number} }}'
            for label, number in sorted(served.labels.items())
        ),
    ]
    return "  config {\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"


def _policy(model: ExportedModel, keep: str) -> tuple[str, tuple[int, ...]]:
    newest, asked = model.versions[-1], asked_versions(keep)
    if keep == "latest":  # the server goes by folder names alone, and would load a broken one that is newer
        follow = all(int(name) <= newest for name in model.broken)
        return ("latest" if follow else "specific"), (newest,)
    if keep == "all":
        return ("specific" if model.broken else "all"), model.versions
    versions = tuple(version for version in model.versions if version in asked)
    if not versions:
        found = ", ".join(map(str, model.versions))
        raise InputError(f"`--keep` must leave a version of {model.name}, {found}; got {keep}.")
    return "specific", versions


def _parse_labels(labels: Sequence[str]) -> dict[str, dict[str, int | None]]:
    asked: dict[str, dict[str, int | None]] = {}
    for text in labels:
        match = re.fullmatch(rf"({MODEL_NAME.pattern}):({_LABEL.pattern})(?:=([0-9]+))?", text)
        if not match:
            raise InputError(f"`--label` must be NAME:LABEL=VERSION or NAME:LABEL; got {text}.")
        asked.setdefault(match[1], {})[match[2]] = int(match[3]) if match[3] else None
    return asked
