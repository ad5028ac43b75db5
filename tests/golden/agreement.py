"""Whether the arrays that the program made agree with the expected ones, within the tolerances of
docs/methods.md 9. Every check returns None or what is wrong.
"""
import re

import numpy as np


def ulp_distance(a, b):
    """How many float32 values lie between two finite float32 arrays, elementwise."""
    def ordered(values):
        bits = values.view(np.int32).astype(np.int64)
        return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return np.abs(ordered(a) - ordered(b))


def check_exact(expected, actual):
    differing = int(np.count_nonzero(expected != actual))
    if differing:
        return f"{differing} of {expected.size} values differ (exact agreement is required)"


def check_ulps(allowed):
    """float32 of the same shape, finite, none off by more than `allowed` ulp."""
    def check(expected, actual):
        if actual.shape != expected.shape:
            return f"expected shape {expected.shape}, found {actual.shape}"
        if actual.dtype != np.float32 or expected.dtype != np.float32:
            return f"expected float32, found {actual.dtype} against {expected.dtype}"
        if not np.isfinite(actual).all():
            return "not finite"
        worst = int(ulp_distance(expected, actual).max(initial=0))
        if worst > allowed:
            return f"off by {worst} ulp of float32 ({allowed} {'is' if allowed == 1 else 'are'} allowed)"
    return check


check_one_ulp = check_ulps(1)


# Weights of a ramp against those that numpy makes of the same voxels: numpy's float32 exponential is itself up to 3 ulp
# from the exact value and the program's up to 2 from numpy's; the sum and the quotient after it may each round to a
# neighbour. On 4.7 million random weights 4 ulp were the most. How many differ says nothing of a tile: one count that
# many voxels share, and whose exponential is off by one ulp, moves the weights of all of them and of their neighbours.
check_ramp_weights = check_ulps(4)


def check_voxels(share):
    """At least `share` of the voxels equal, none off by more than 1."""
    def check(expected, actual):
        if actual.dtype != np.uint16:
            return f"expected uint16, found {actual.dtype}"
        difference = np.abs(expected.astype(np.int64) - actual.astype(np.int64))
        equal = 1 - np.count_nonzero(difference) / difference.size
        if difference.max() > 1 or equal < share:
            return (f"{100 * equal:.4f} % of the voxels are equal ({100 * share} % are required), "
                    f"largest difference {difference.max()} (1 is allowed)")
    return check


def rule_for(name, is_binned):
    """The comparison of an array by its name; None for a name that no rule covers."""
    rules = [(r"background|background_planes|initial_planes|target_planes", check_exact),
             (r"mask_low|mask_first_last|mask_count|g", check_exact),
             (r"profile_[xyz]|curve_[xyz]|weights", check_one_ulp),
             (r"corrected_0", check_voxels(0.9999)),
             (r"corrected_[1-9]", check_voxels(0.9995 if is_binned else 0.9999))]
    return next((rule for pattern, rule in rules if re.fullmatch(pattern, name)), None)


def disagreements(expected, actual, is_binned):
    """One line per array of `expected` that `actual` does not match, and per curve or level too many."""
    lines = []
    for name, values in expected.items():
        rule = rule_for(name, is_binned)
        if rule is None:
            lines.append(f"{name}: the golden file holds an array that no rule compares")
        elif name not in actual:
            lines.append(f"{name}: missing")
        elif np.shape(actual[name]) != values.shape:
            lines.append(f"{name}: expected shape {values.shape}, found {np.shape(actual[name])}")
        else:
            wrong = rule(values, np.asarray(actual[name]))
            if wrong:
                lines.append(f"{name}: {wrong}")
    for name in actual:
        if re.fullmatch(r"curve_[xyz]|corrected_\d+", name) and name not in expected:
            lines.append(f"{name}: not expected for these settings")
    return lines
