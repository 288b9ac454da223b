"""Run a command, then print how long it took and the memory of its largest process."""

import resource
import subprocess
import sys
import time

started = time.monotonic()
status = subprocess.run(sys.argv[1:]).returncode
seconds = time.monotonic() - started
# Linux counts in KiB
largest_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{' '.join(sys.argv[1:])}: {seconds:.0f} s, largest process {largest_mib:,.0f} MiB", flush=True)
sys.exit(status)
