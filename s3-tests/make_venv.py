#!/usr/bin/env python3
"""Makes the virtual environment that the tests run in: `make_venv.py FOLDER REQUIREMENTS...`.

Does nothing if the folder already has what the requirement files ask for. A machine whose Python has no `ensurepip` (Debian
without python3-venv) still gets one: pip is then taken from the package index, held against the hash below.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
import venv

PIP = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"


def stamp_of(requirements):
    text = "".join(pathlib.Path(path).read_text() for path in requirements) + sys.version
    return hashlib.sha256(text.encode()).hexdigest()


def pip_wheel(folder):
    """pip itself, run from its wheel: where neither ensurepip nor a pip of the system is there."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    with urllib.request.urlopen(index, timeout=60) as reply:
        page = reply.read().decode()
    link = re.search(r'href="([^"]*/' + re.escape(PIP) + r')[#"]', page)
    if link is None:
        raise SystemExit(f"this Python has no ensurepip and {index} no {PIP}: install python3-venv")
    with urllib.request.urlopen(urllib.parse.urljoin(index, link[1]), timeout=60) as reply:
        wheel = reply.read()
    if hashlib.sha256(wheel).hexdigest() != PIP_SHA256:
        raise SystemExit(f"{PIP} of {index} is not the file that we know")
    path = folder / PIP
    path.write_bytes(wheel)
    return path


def main():
    if sys.version_info < (3, 11):
        raise SystemExit(f"the tests need Python 3.11 or later; this is {sys.version.split()[0]}")
    folder, requirements = pathlib.Path(sys.argv[1]), sys.argv[2:]
    stamp = folder / "requirements.stamp"
    if stamp.is_file() and stamp.read_text() == stamp_of(requirements):
        return
    shutil.rmtree(folder, ignore_errors=True)
    python = folder / "bin" / "python"
    try:
        import ensurepip  # noqa: F401
        venv.create(folder, with_pip=True, symlinks=True)
        pip, env = [python, "-m", "pip"], None
    except ImportError:
        venv.create(folder, with_pip=False, symlinks=True)
        pip, env = [python, "-m", "pip"], {**os.environ, "PYTHONPATH": str(pip_wheel(folder))}
    wanted = [word for path in requirements for word in ("-r", path)]
    subprocess.run([*pip, "install", "--quiet", "--disable-pip-version-check", *wanted], check=True, env=env)
    # Last: a folder with this file is a whole environment.
    stamp.write_text(stamp_of(requirements))


if __name__ == "__main__":
    main()
