"""Autobahn's fuzzing client under Python 2.7: `fuzzing.py PORT FOLDER` prints `CASE: ok`, or what was wrong.

The name is not `autobahn`, since Python would take it for the package of that name.
"""

from __future__ import print_function

import json
import os
import sys

port, folder = sys.argv[1:]
# The suite chats on standard output; the table is for the last lines.
table = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
spec = {
    "outdir": folder + "/reports", "cases": ["*"], "exclude-cases": [], "exclude-agent-cases": {},
    "servers": [{"agent": "towpath", "url": "ws://127.0.0.1:" + port}]}
with open(folder + "/spec.json", "w") as out:
    json.dump(spec, out)

sys.argv = ["wstest", "-m", "fuzzingclient", "-s", folder + "/spec.json"]
from autobahntestsuite import wstest
try:
    wstest.run()
finally:
    with open(folder + "/reports/index.json") as report:
        cases = json.load(report)["towpath"]
    for name, case in sorted(cases.items()):
        found = {case["behavior"], case["behaviorClose"]} - {"OK", "NON-STRICT", "INFORMATIONAL"}
        print(name + ": " + (", ".join(found) or "ok"), file=table)
    table.close()
