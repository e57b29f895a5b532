"""Commands whose standard streams are closed, narrow or of no width."""

import os
import subprocess
import sys

import pytest

from tests.processes import REPOSITORY

LIST = "import sys; from mi_keras.cli import main; sys.exit(main(['--list']))"
# What a file that is opened next gets as its number, and what C++ libraries would then write into it
FILE = """
import os
from mi_keras.quiet import quiet_libraries
with quiet_libraries():
    pass
with open("file", "w") as file:
    os.write(2, b"noise")
    print("more noise")
    file.write(str(file.fileno() > 2))
"""


def run(code, shell="", folder=None, **environment):
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-c", code], cwd=folder, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
    )  # fmt: skip


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_ends_well_without_standard_streams(closed):
    ended = run(LIST, closed)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    assert run(FILE, "<&- >&- 2>&-", tmp_path).returncode == 0
    assert (tmp_path / "file").read_text() == "True"


def test_what_an_encoding_lacks_is_escaped():
    code = "from mi_keras.command import guarded; guarded(lambda: print('\\u96ea'))"
    ended = run(code, PYTHONIOENCODING="ascii")
    assert (ended.stdout.strip(), ended.stderr) == (rb"\u96ea", b"")


def test_no_width_is_no_width_of_zero():
    code = """
from mi_keras.command import console_for_tables, guarded
guarded(lambda: console_for_tables().print("words"))
"""
    assert run(code, COLUMNS="0", LINES="0").stdout == b"words\n"
