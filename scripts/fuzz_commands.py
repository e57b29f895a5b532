"""Wrong arguments of commands for `fuzz_inputs`."""

from pathlib import Path

from scripts.fuzz_files import Draw, model, pick


def assignment(draw: Draw) -> str:
    """Return a `--set` that breaks a rule, more often than not."""
    key = pick(draw, ["faces.size", "faces.division", "faces.groups", "decoders", "runs", "compact.mse", "encoder.cut", "no", "", "faces", "a.b.c"])  # fmt: skip
    value = pick(draw, ["-1", "nan", "1e999", "", "x", "\x1b[2J", "folder", "192,192", "9" * 400])
    return key + pick(draw, ["=", "==", "", " = "]) + value


def arguments_of(draw: Draw, folder: Path) -> list[str]:
    """Return arguments of a command, at least one of which is wrong."""
    path = pick(
        draw,
        [folder / "none", Path("/dev/null"), folder, Path("a\x1b[31m"), Path("$x$"), folder / ("x" * 300)],
    )
    _, broken = model(draw, folder)
    section = ["--section", "5.2", "--preset", "smoke", "--offline"]
    faces = [
        "--work",
        "split",
        "--section",
        "6",
        "--preset",
        "smoke",
        "--offline",
        "--encoder-weights",
        "random",
    ]
    return [*map(str, pick(draw, [
        ["--section", pick(draw, ["9.9", "", "5.2\x1b", "all "])], [*section, "--set", pick(draw, ["no=1", "gradient.steps=x", "\x1b=1", "="])],
        [*section, "--data", f"npz:{path}"], [*section, "--data", pick(draw, ["tfds:no_such_set", "tfds:../x", "x:y", "npz:", "folder:x"])],
        [*section, "--runs", pick(draw, ["0", "x", "1e9", "99999"])], [*section, "--seed", "x"], [*section, "--preset", "tiny"],
        [*faces, "--data", f"folder:{path}"], [*faces, "--data", f"zip:{broken}"], [*faces, "--set", "faces.groups=folder"],
        ["--work", "split", "--section", "6", "--offline", "--encoder-weights", str(path)], ["--work", "none", "--section", "1"],
        [*section, "--out", "/dev/null/x"], ["--no-such-option\x1b"], ["no-such-command"],
        ["audit", path, "--data", folder], ["audit", broken, "--data", path], ["audit", "--data", path], ["audit", broken, "--list-points", "--import", "no_such_module"],
        ["audit", broken, "--data", folder, "--size", "x"], ["audit", broken, "--data", folder, "--queries", "-1"],
        ["audit", broken, "--data", folder, "--tolerance", "found=x"], ["audit", "--fail-above", "x"], ["audit", "--fix", "a=b", broken, "--data", folder],
        ["verify", path], ["models", "--no"], ["invert", path], ["serve-config", "--no"], ["export", "--work", "x"],
    ]))]  # fmt: skip
