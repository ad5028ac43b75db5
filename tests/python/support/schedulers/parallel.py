"""GNU parallel, as far as docs/cluster.md uses it: one command for each word behind ":::", one after another."""
import json
import os
import subprocess
import sys

place = sys.argv.index(":::")
for word in sys.argv[place + 1:]:
    done = subprocess.run([part.replace("{}", word) for part in sys.argv[1:place]], check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    with open(os.environ["JOBS"], "a") as file:
        file.write(json.dumps({"id": word}) + "\n")
