"""The Python package that is tested: that of the build folder ($FLATFIELD_BUILD, default build/release), or with
FLATFIELD_PACKAGE=installed the one that is installed.

    from support.module import flatfield
"""
import os
import sys

import hypothesis

from support.program import REPOSITORY

if os.environ.get("FLATFIELD_PACKAGE") != "installed":
    sys.path.insert(0, str(REPOSITORY / os.environ.get("FLATFIELD_BUILD", "build/release") / "python"))

import exaspim_flatfield as flatfield  # noqa: E402  (after the path is set)

# Few examples by default, many with --long; a failing one is printed with what repeats it. No deadline: tests never
# depend on seconds.
hypothesis.settings.register_profile(
    "flatfield", deadline=None, print_blob=True, database=None, suppress_health_check=list(hypothesis.HealthCheck),
    max_examples=400 if os.environ.get("FLATFIELD_LONG") else 30)
hypothesis.settings.load_profile("flatfield")

__all__ = ["flatfield"]
