import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from support.packages import needs_dask

import gptcompare as gc
from gptcompare.evaluation import provenance, workers
from gptcompare.evaluation.tasks.items import Item
from gptcompare.evaluation.tasks.protocols import LastWord
from gptcompare.evaluation.workers import ITEMS, Dask, Threads, in_chunks

NAME = "nano-gpt2"
TEXT = (
    "the king had three daughters and the youngest was so fair that the sun himself who had seen so much "
    "wondered each time when he shone on her face"
)
WORDS = TEXT.split()


def items(n):
    """Of different lengths."""
    texts = [" ".join(WORDS[k % 7 : k % 7 + 3 + k % 19]) for k in range(n)]
    return [Item(((text, f" {WORDS[k % len(WORDS)]}"),)) for k, text in enumerate(texts)]


@pytest.fixture(scope="module")
def lm():
    return gc.load(NAME)


@pytest.fixture(scope="module")
def digest(lm):
    return provenance.of_content(lm)


def rows_by(of, n=50, protocol=None):
    """The row of each item, in order."""
    found = {}

    def keep(chunk, rows):
        assert not set(chunk) & set(found)
        found.update(zip(chunk, rows, strict=True))

    of.score(protocol or LastWord(), items(n), in_chunks(items(n)), keep)
    return [found[number] for number in range(n)]


class TestChunks:
    def test_every_item_is_in_one_of_them(self):
        chunks = in_chunks(items(50))
        assert sorted(number for chunk in chunks for number in chunk) == [*range(50)]
        assert [len(chunk) for chunk in chunks] == [ITEMS] * 6 + [2]

    def test_the_longest_come_first_and_the_like_together(self):
        lengths = [[len(items(50)[number].context) for number in chunk] for chunk in in_chunks(items(50))]
        assert all(min(longer) >= max(shorter) - 8 for longer, shorter in itertools.pairwise(lengths))


class TestThreads:
    def test_rows_are_the_same_to_the_last_bit_however_many_threads_there_are(self, lm, four_threads):
        several = rows_by(Threads(lm))
        with workers.single_threaded():
            assert rows_by(Threads(lm)) == several

    def test_a_failure_is_the_callers(self, lm):
        class Failing(LastWord):
            def rows(self, lm, items):
                raise MemoryError("no room")

        with pytest.raises(MemoryError, match="no room"):
            rows_by(Threads(lm), protocol=Failing())


class Slow(LastWord):
    """Leaves time for a worker to be killed."""

    def rows(self, lm, items):
        time.sleep(0.3)
        return super().rows(lm, items)


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")
class TestDask:
    @pytest.fixture
    def distributed(self):
        return needs_dask()

    @pytest.mark.parametrize("n_workers", [1, 2, 4])
    def test_rows_are_those_of_one_process_whatever_the_number_of_workers(self, distributed, lm, digest, n_workers):
        assert rows_by(Dask(NAME, "huggingface", digest, n_workers=n_workers)) == rows_by(Threads(lm))

    def test_nobody_else_can_use_the_workers_and_there_is_no_page(self, distributed):
        from gptcompare.evaluation.cluster import local_cluster

        def listening():
            me = psutil.Process()
            ports = [one for process in (me, *me.children(recursive=True)) for one in process.net_connections("tcp")]
            return {(one.laddr.ip, one.laddr.port) for one in ports if one.status == psutil.CONN_LISTEN}

        psutil = pytest.importorskip("psutil")
        before, environment = listening(), dict(os.environ)
        with local_cluster(1) as cluster:
            assert dict(os.environ) == environment
            found = listening() - before
            assert {ip for ip, _ in found} == {"127.0.0.1"}
            for _, port in found:  # neither without a certificate, nor with one of one's own, nor by HTTP
                for security in (None, distributed.Security.temporary()):
                    scheme = "tcp" if security is None else "tls"
                    with pytest.raises(OSError, match=r"Timed out|establish|closed|[Cc]ertificate|CERTIFICATE|SSL"):
                        distributed.Client(f"{scheme}://127.0.0.1:{port}", security=security, timeout=1)
                with pytest.raises(OSError, match=r"."):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).read()
            assert cluster.scheduler_address.startswith("tls://")
        assert dict(os.environ) == environment

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
    def test_a_stop_while_the_workers_start_or_end_waits_for_that(self, distributed, digest, monkeypatch):
        from gptcompare.evaluation import cluster

        clusters = []

        class Stopped(cluster.SpecCluster):
            def __init__(self, *arguments, **options):
                clusters.append(self)
                os.kill(os.getpid(), signal.SIGINT)
                super().__init__(*arguments, **options)
                assert len(self.workers) == 1

            def close(self, timeout=None):
                os.kill(os.getpid(), signal.SIGINT)
                return super().close(timeout)

        monkeypatch.setattr(cluster, "SpecCluster", Stopped)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever pytest's parent ignores
        try:
            with pytest.raises(KeyboardInterrupt):
                Dask(NAME, "huggingface", digest, n_workers=1).score(LastWord(), items(8), [[*range(8)]], pytest.fail)
        finally:
            signal.signal(signal.SIGINT, before)
        assert [cluster.status for cluster in clusters] == [distributed.Status.closed]

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
    def test_what_a_terminal_or_a_batch_system_sends_to_the_whole_group_ends_no_worker(self, distributed):
        from gptcompare.evaluation.cluster import local_cluster

        with local_cluster(1) as cluster, distributed.Client(cluster) as client:
            worker = client.submit(os.getpid).result()
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                os.kill(worker, number)
            assert client.submit(os.getpid, pure=False).result() == worker
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)

    def test_a_worker_that_could_not_be_closed_ends_with_the_process(self, distributed):
        """Its pipes are at their end only when it has ended, too."""
        script = (
            "from gptcompare.evaluation import cluster\n"
            "if __name__ == '__main__':\n"
            "    cluster.SpecCluster.close = lambda self, timeout=None: None\n"
            "    with cluster.local_cluster(1):\n"
            "        pass\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)

    def test_workers_that_cannot_be_started_are_one_clear_error(self, distributed, digest, monkeypatch):
        from gptcompare.evaluation import cluster

        def fail(*_, **__):
            raise RuntimeError("Nanny failed to start.")

        monkeypatch.setattr(cluster, "SpecCluster", fail)
        with pytest.raises(OSError, match=r"Dask cannot start workers .*Nanny failed to start.*shared memory"):
            rows_by(Dask(NAME, "huggingface", digest, n_workers=1), n=8)

    def test_a_cluster_that_runs_already_is_used_and_left_running(self, distributed, lm, digest):
        with distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster:
            address = cluster.scheduler_address
            for _ in range(2):
                assert rows_by(Dask(NAME, "huggingface", digest, address=address)) == rows_by(Threads(lm))

    def test_a_killed_worker_costs_only_what_it_had_in_hand(self, distributed, lm, digest):
        expected = rows_by(Threads(lm), n=100)
        n_kept = []
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster:

            def kill_one():
                while len(n_kept) < 3:
                    time.sleep(0.01)
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

            killer = threading.Thread(target=kill_one)
            killer.start()
            found = {}

            def keep(chunk, rows):
                assert not set(chunk) & set(found)  # no chunk comes twice
                found.update(zip(chunk, rows, strict=True))
                n_kept.append(len(chunk))

            Dask(NAME, "huggingface", digest, address=cluster.scheduler_address).score(
                Slow(), items(100), in_chunks(items(100)), keep
            )
            killer.join()
        assert [found[number] for number in range(100)] == expected

    def test_a_worker_with_another_model_is_found_out(self, distributed, capfd):
        with pytest.raises(ValueError, match="'nano-gpt2' on this worker is not the model"):
            rows_by(Dask(NAME, "huggingface", "0" * 64, n_workers=1), n=8)
        assert "Traceback" not in capfd.readouterr().err

    def test_a_scheduler_that_dies_is_one_clear_error_and_what_was_found_is_kept(self, distributed, digest):
        kept = []
        cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50)

        def keep(chunk, rows):
            kept.append(chunk)
            if len(kept) == 1:
                cluster.close()

        with pytest.raises(OSError, match="the Dask scheduler is gone; the results so far are kept"):
            Dask(NAME, "huggingface", digest, address=cluster.scheduler_address).score(
                Slow(), items(100), in_chunks(items(100)), keep
            )
        assert 1 <= len(kept) < 13

    def test_an_address_without_a_scheduler_is_one_clear_error(self, distributed, digest):
        dask = pytest.importorskip("dask")
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
            pytest.raises(OSError, match=r"there is no Dask scheduler at tcp://127\.0\.0\.1:9"),
        ):
            rows_by(Dask(NAME, "huggingface", digest, address="tcp://127.0.0.1:9"), n=8)


def test_without_certificates_there_is_a_word_about_how_to_get_them(monkeypatch, digest):
    pytest.importorskip("distributed")
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ImportError, match=r"need the package cryptography: pip install \"gptcompare\[dask\]\""):
        rows_by(Dask(NAME, "huggingface", digest, n_workers=1), n=8)


def test_without_dask_there_is_a_word_about_how_to_get_it(monkeypatch, digest):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install \"gptcompare\[dask\]\""):
        Dask(NAME, "huggingface", digest)
