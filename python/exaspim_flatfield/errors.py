"""The exceptions of this package: one class for each kind of error, as the command line has one exit code for each.

Where Python has an exception of the same meaning, the class is a kind of it too: ``except FileNotFoundError`` works. All are
kinds of FlatfieldError but InterruptedRunError, which is a KeyboardInterrupt alone.
"""


class FlatfieldError(Exception):
    """An error of the library.

    ``str(error)`` is the line that the command line prints: what, where, what to do; the attributes ``message``,
    ``where`` and ``remedy`` are its parts, ``code`` is its short name, and ``exit_code`` the number that the command
    line ends with.
    """

    code = "internal"
    exit_code = 1
    message = ""
    where = ""
    remedy = ""


class InternalError(FlatfieldError, RuntimeError):
    """A defect of this package."""


class UsageError(FlatfieldError, ValueError):
    """An argument or an option is unknown or out of range."""


class NotFoundError(FlatfieldError, FileNotFoundError):
    """An input that was named does not exist."""


class BadInputError(FlatfieldError, ValueError):
    """An input is corrupt, or is not what it claims to be."""


class UnsupportedError(FlatfieldError, NotImplementedError):
    """An input uses a feature that is not supported."""


class OutputExistsError(FlatfieldError, FileExistsError):
    """The output is there already."""


class WriteError(FlatfieldError, OSError):
    """The output cannot be written."""


class ReadError(FlatfieldError, OSError):
    """An existing input cannot be read."""


class DoesNotFitError(FlatfieldError, MemoryError):
    """The work does not fit into the memory that may be used."""


class QualityError(FlatfieldError):
    """The quality numbers of a tile failed."""


class TilesFailedError(FlatfieldError):
    """Tiles of a batch failed; the others were corrected."""


class InterruptedRunError(KeyboardInterrupt):
    """What was called was asked to stop; the same call goes on with a run.

    It has the attributes of FlatfieldError and is none: what goes on after errors stops here, as with any Ctrl-C.
    """

    code = "interrupted"
    exit_code = 75
    message = ""
    where = ""
    remedy = ""


_CLASSES = {
    "internal": InternalError,
    "usage": UsageError,
    "not_found": NotFoundError,
    "bad_input": BadInputError,
    "unsupported": UnsupportedError,
    "output_exists": OutputExistsError,
    "write_failed": WriteError,
    "read_failed": ReadError,
    "memory": DoesNotFitError,
    "quality_failed": QualityError,
    "tiles_failed": TilesFailedError,
    "interrupted": InterruptedRunError,
}


def error_of(interruption):
    """An InterruptedRunError as a FlatfieldError, for threads in which KeyboardInterrupt means something else."""
    error = FlatfieldError(*interruption.args)
    for name in ("code", "exit_code", "message", "where", "remedy"):
        setattr(error, name, getattr(interruption, name))
    return error


def make_error(code, exit_code, text, message, where, remedy):
    """The exception for an error of the library; called by the native module."""
    error = _CLASSES.get(code, FlatfieldError)(text)
    error.code, error.exit_code = code, exit_code
    error.message, error.where, error.remedy = message, where, remedy
    return error
