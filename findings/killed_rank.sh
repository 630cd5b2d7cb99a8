#!/usr/bin/env bash
# One of three ranks of an MPI program is killed, as by a system that has run out of memory, and mpiexec says which.
# Guess: its notice, "BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES", names the process that was killed.
# Seen with MPICH 5.0.2 on Linux: the other ranks are ended at once, in the same way, and the notice may name one of these:
# the second, where the last of three was killed. And it is written to the standard output, among the program's results.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mpich==5.0.2 mpi4py==4.1.2
cat > "$folder/program.py" <<'PROGRAM'
import os, signal, sys, time
from mpi4py import MPI

comm = MPI.COMM_WORLD
for rank in range(3):
    comm.barrier()
    if rank == comm.Get_rank():
        print(f"rank {rank} is process {os.getpid()}", file=sys.stderr, flush=True)
comm.barrier()
time.sleep(0.5)
if comm.Get_rank() == int(sys.argv[1]):
    os.kill(os.getpid(), signal.SIGKILL)
comm.barrier()
PROGRAM
echo "MPICH 5.0.2, mpi4py 4.1.2"
wrong=0
for killed in 0 1 2; do
    "$folder/venv/bin/mpiexec" -n 3 "$folder/venv/bin/python" "$folder/program.py" "$killed" \
        > "$folder/out" 2> "$folder/err" < /dev/null || true
    named=$(sed -n 's/^= *PID \([0-9]*\) RUNNING.*/\1/p' "$folder/out")
    of=$(sed -n "s/^rank \([0-9]\) is process $named\$/\1/p" "$folder/err")
    echo "rank $killed was killed, the notice on standard output names rank ${of:-?}"
    [ "$of" = "$killed" ] || wrong=$((wrong + 1))
done
[ "$wrong" -gt 0 ] || { echo "this has changed: it named the right one each time"; exit 1; }
