"""Runs of the program in several processes by mpirun."""
import functools
import os
import shutil
import subprocess

import pytest

from support.program import PROGRAM, Result

# What Open MPI needs as root, on a machine of fewer CPUs than processes, and in a container.
ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
               "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "OMPI_MCA_rmaps_base_inherit": "1"}


@functools.cache
def has_mpi():
    """Whether the program was built with an MPI, and mpirun is there."""
    if shutil.which("mpirun") is None:
        return False
    linked = subprocess.run(["ldd", str(PROGRAM)], capture_output=True, text=True, check=True).stdout
    return "libmpi" in linked


def mpirun(count, *words, cwd, env=None, program=PROGRAM):
    """Calls the program in so many processes."""
    if not has_mpi():
        pytest.skip("the program was built without MPI, or there is no mpirun")
    finished = subprocess.run(["mpirun", "-n", str(count), str(program), *map(str, words)], cwd=cwd, text=True,
                              capture_output=True, timeout=300, check=False,
                              env={**(os.environ if env is None else env), **ENVIRONMENT})
    result = Result(finished.returncode, finished.stdout, finished.stderr)
    for sign_of_a_defect in ("please report this", "terminate called", "AddressSanitizer"):
        assert sign_of_a_defect not in result.err, result.err
    return result
