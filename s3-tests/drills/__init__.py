"""Drills: processes are killed under load, and every promise is checked afterwards.

Each is a module to run by hand (`python -m drills.kill_server --help`, in `s3-tests/`) and a function that the suite calls.
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "cluster"))
