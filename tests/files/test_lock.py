import subprocess
import sys

from gptcompare.files.lock import locked


def test_a_lock_is_lifted_when_its_holder_dies(tmp_path):
    holder = "import sys, time; from gptcompare.files.lock import locked\n"
    holder += "with locked(sys.argv[1], print):\n    print('held', flush=True)\n    time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", holder, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    waited = []

    def on_wait():
        waited.append(True)
        process.kill()

    with locked(tmp_path / "lock", on_wait):
        assert waited == [True]
    process.communicate()
