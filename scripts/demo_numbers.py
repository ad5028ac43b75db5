"""Prints what the correction of the demo tile changed, and how near it came to the known illumination."""
import json
import math
import pathlib
import sys


def relative_spread(values):
    mean = sum(values) / len(values)
    return 100 * math.sqrt(sum((v - mean) ** 2 for v in values) / len(values)) / mean


def main():
    out, tile = pathlib.Path(sys.argv[1]), sys.argv[2]
    report = json.loads((out / "results" / "run_report.json").read_text())["tiles"][0]
    truth = json.loads((out / f"{tile}.truth.json").read_text())
    found = json.loads((out / "results" / f"{tile}_corr_curves.json").read_text())
    quality = {name: number["value"] for name, number in report["qc"][tile]["numbers"].items()}

    print("axis   profile CV before   after    illumination: spread before   left after correction")
    for axis in "zyx":
        curve, light = found[f"curve_{axis}"], truth[f"f{axis}"]
        # The ends of an axis hold little or no tissue to learn from: the middle 70 % are compared.
        inside = slice(len(curve) * 15 // 100, len(curve) * 85 // 100)
        left = relative_spread([f / c for f, c in zip(light[inside], curve[inside])])
        print(f"  {axis}          {quality[f'profile_cv_{axis}_before']:6.2f} %      "
              f"{quality[f'profile_cv_{axis}_after']:6.2f} %            "
              f"{relative_spread(light[inside]):6.2f} %                   {left:6.2f} %")
    print()
    print(f"  quality    {report['qc'][tile]['verdict']}")
    print(f"  input      {out / tile}")
    print(f"  corrected  {out / 'corrected' / tile}")
    print(f"  mask       {out / 'mask' / 'corrected' / tile}")
    print(f"  results    {out / 'results'}  (run_report.json, background image, curves, log)")
    print(f"  report     {out / 'results' / f'{tile}_report.html'}  (open it in a browser)")


if __name__ == "__main__":
    main()
