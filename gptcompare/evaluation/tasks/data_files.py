"""The data files of published tasks: their addresses, and their contents, downloaded once or read from the user's copy.

Archives are read in place and never unpacked to disk.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ...checkpoints.download.data_publishers import AI2, GitHub, HuggingFaceDataset, OpenAIData
from ...checkpoints.download.published_file import PublishedFile
from ...checks import brief_fields

LIMIT = 50_000_000  # bytes of an unpacked file; the ones below have some millions
MAX_ZIP = 20_000_000  # bytes; its list of members takes several times as many in memory
MAX_HEADER, MAX_HEADERS = 8192, 1_000_000  # bytes of a header in a .tgz, and of all of them: CBT's has some thousands
ZIP, GZIP = b"PK", b"\x1f\x8b"  # the first bytes of such files
ARCHIVES = (".zip", ".tgz", ".tar.gz")
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError,
    OverflowError,  # a size or a place beyond 64 bits
    RuntimeError,  # from zipfile, for an encrypted file; RecursionError from tarfile, for header after header
)  # fmt: skip


@dataclass(frozen=True)
class Content:
    """The contents of a file.

    Attributes
    ----------
    name : str
        Its path, for messages; for a file in an archive, the archive's path followed by the path inside it.
    content : bytes
        Not compressed.
    """

    name: str
    content: bytes

    __repr__ = brief_fields


@dataclass(frozen=True)
class TaskData:
    """The file in which a task is published, and the part of it that is needed.

    Parameters
    ----------
    published : PublishedFile
    members : tuple of str
        If the file is an archive, a .zip or a .tgz, the paths of the files in it that are needed. Empty if the file
        itself is needed, which may be compressed as a .gz.
    """

    published: PublishedFile
    members: tuple[str, ...] = ()

    __repr__ = brief_fields

    def contents(self, data: str | os.PathLike[str] | None = None) -> list[Content]:
        """Read the files that are needed, in the order of the members.

        Parameters
        ----------
        data : path, optional
            A copy: the published file itself; the first member, with the others beside it; or a folder that contains
            either of these, directly or in the folders of the archive. A file that was published compressed may be
            unpacked. If `data` is not given, the published file is downloaded, once.

        Returns
        -------
        list of Content

        Raises
        ------
        FileNotFoundError
            If there is no such file; DownloadError is a kind of it.
        ValueError
            If an archive is damaged, or lacks a member.
        OSError
            If a file cannot be read.
        """
        name = self.published.name
        path = self.published.fetched(f"the contents of {name}") if data is None else Path(data)
        if self.members and (path / name).is_file():
            path = path / name
        if path.is_dir():
            return [self._read(self._found_in(path, file)) for file in self._wanted]
        if not path.exists():
            raise FileNotFoundError(f"there is no {path}: {self._expected}")
        if self.members and _is_archive(path):
            return self._from_archive(path)
        return [self._read(path), *(self._read(self._beside(path, file)) for file in self._wanted[1:])]

    @property
    def _wanted(self) -> tuple[str, ...]:
        return self.members or (self.published.file,)

    @property
    def _expected(self) -> str:
        """A list of what can be given, for the end of a message."""
        files = " and ".join(PurePosixPath(file).name for file in self._wanted)
        archive = f"{self.published.name}, or the {files} in it" if self.members else files
        return f"expected {archive}, or a folder that contains it; it is published at {self.published.address}"

    def _found_in(self, folder: Path, file: str) -> Path:
        """Find a file in a folder, which may correspond to any of the folders in the archive."""
        parts = PurePosixPath(file).parts
        for n in range(len(parts)):
            for path in _spellings(folder.joinpath(*parts[n:])):
                if path.is_file():
                    return path
        raise FileNotFoundError(f"there is no {parts[-1]} in {folder}: {self._expected}")

    def _beside(self, first: Path, file: str) -> Path:
        """Find a member beside the first one."""
        path = first.with_name(PurePosixPath(file).name)
        if not path.is_file():
            raise FileNotFoundError(f"there is no {path.name} beside {first}: {self._expected}")
        return path

    def _read(self, path: Path) -> Content:
        """Read a file that may be compressed."""
        with self._explained(path), open(path, "rb") as file:
            content = _limited(file.read, path.name)
            if content.startswith(GZIP):
                content = _limited(gzip.GzipFile(fileobj=io.BytesIO(content)).read, path.name)
        return Content(str(path), content)

    def _from_archive(self, path: Path) -> list[Content]:
        with self._explained(path), open(path, "rb") as file:
            found = _from_zip(file, self.members) if _begins_with(path, ZIP) else _from_tgz(file, self.members)
            if missing := [member for member in self.members if member not in found]:
                raise ValueError(f"there is no {missing[0]} in it")
        return [Content(f"{path}/{member}", found[member]) for member in self.members]

    @contextmanager
    def _explained(self, path: Path) -> Iterator[None]:
        """Turn an error about a damaged file in a `with` block into one that names the file and what is expected."""
        try:
            yield
        except DAMAGED as error:
            reason = str(error) or type(error).__name__
            raise ValueError(f"{path} is damaged, or the wrong file ({reason}): {self._expected}") from None


def _is_archive(path: Path) -> bool:
    """Return True for a file that begins like an archive, and for one that is only named like one: it is damaged."""
    return path.name.lower().endswith(ARCHIVES) or _begins_with(path, ZIP) or _begins_with(path, GZIP)


def _begins_with(path: Path, beginning: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(beginning)) == beginning


def _spellings(path: Path) -> list[Path]:
    """Return the path of a file as it is published and, if that is compressed, as it is called unpacked."""
    return [path, path.with_suffix("")] if path.suffix == ".gz" else [path]


def _limited(read: Callable[[int], bytes], name: str, limit: int | None = None) -> bytes:
    """Read a whole file, whatever size it claims to have; more than `limit` bytes, or LIMIT, are a ValueError."""
    limit = LIMIT if limit is None else limit
    content = read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{name} has more than {limit:,} bytes, which no task has")
    return content


def _from_zip(file: IO[bytes], members: tuple[str, ...]) -> dict[str, bytes]:
    """Return member -> its bytes, for the members that are there."""
    # In memory, where a wrong offset is a ValueError; from a file it would be an OSError, like a fault of the disk.
    with zipfile.ZipFile(io.BytesIO(_limited(file.read, "the archive", MAX_ZIP))) as archive:
        found = {info.filename: info for info in archive.infolist() if info.filename in members}
        for member, info in found.items():
            # The decompressors of bzip2 and LZMA are not asked for so many bytes and no more.
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{member} is packed by method {info.compress_type}, neither stored nor deflated")
        return {member: _limited(archive.open(info).read, member) for member, info in found.items()}


def _from_tgz(file: IO[bytes], members: tuple[str, ...]) -> dict[str, bytes]:
    """Return the same, reading no further than the last member: the archive of CBT has more than a gigabyte."""
    found: dict[str, bytes] = {}
    # `gzip` checks more than tarfile's own "r|gz", and raises distinct errors for everything that is wrong.
    with gzip.GzipFile(fileobj=file) as unpacked:
        headers: Any = _Headers(unpacked)
        with tarfile.open(fileobj=headers, mode="r:") as archive:
            for info in archive:
                name = str(PurePosixPath(info.name))  # without "./"
                if name in members and info.isreg() and not info.issparse():
                    headers.seek(info.offset_data)
                    found[name] = _from_tar(unpacked, info, name)
                if len(found) == len(members):
                    break
    return found


def _from_tar(file: gzip.GzipFile, info: tarfile.TarInfo, name: str) -> bytes:
    """Read the bytes of a member, which begin here."""
    content = _limited(lambda limit: file.read(min(limit, info.size)), name)
    if len(content) < info.size:
        raise ValueError(f"it ends in the middle of {name}")
    return content


class _Headers:
    """The file from which tarfile reads headers: each claims how long the next ones are, and none gets more than this.

    It goes forwards only, so that no header can lead back to one before it.
    """

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self._left = MAX_HEADERS

    def read(self, size: int) -> bytes:
        self._left -= size
        if size > MAX_HEADER or self._left < 0:
            raise ValueError("its headers claim to be longer than any headers are")
        return self._file.read(size)

    def seek(self, position: int) -> int:
        if position < self.tell():
            raise ValueError("a header leads backwards")
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()


# OpenAI's file; its digest is in the README.md of EleutherAI/lambada_openai on the Hugging Face Hub; 5,153 texts.
LAMBADA = TaskData(
    PublishedFile(
        OpenAIData(),
        "lambada_test.jsonl",
        "sha256:4aa8d02cd17c719165fc8a7887fddd641f43fcafa4b1c806ca8abc31fabdb226",
        size=1_819_752,
    )
)

# Zellers et al. 2019 (arXiv:1905.07830), in their repository; 10,042 items of the validation set.
HELLASWAG = TaskData(
    PublishedFile(
        GitHub("rowanz/hellaswag", "a29ff8e9a04bba4bd6588223785ce105328adc57"),
        "data/hellaswag_val.jsonl",
        "sha256:0aa3b88843990f3f10a97b9575c94d7b71fb2205240ba04ae4884d9e9c992588",
    )
)

# Bisk et al. 2020 (arXiv:1911.11641); the digest is in allenai/rainbow; 1,838 items of the development set.
PIQA = TaskData(
    PublishedFile(
        AI2(),
        "physicaliqa/physicaliqa-train-dev.zip",
        "sha256:54d32a04f59a7e354396f321723c8d7ec35cc6b08506563d8d1ffcc15ce98ddd",
    ),
    ("physicaliqa-train-dev/dev.jsonl", "physicaliqa-train-dev/dev-labels.lst"),
)

# Sakaguchi et al. 2020 (arXiv:1907.10641); 1,267 items of the development set.
WINOGRANDE = TaskData(
    PublishedFile(
        AI2(),
        "winogrande/winogrande_1.1.zip",
        "sha256:3619ab104d8be2977b25c90ff420cb42d491707dcc75362a1e5d22bc082b7318",
    ),
    ("winogrande_1.1/dev.jsonl",),
)

# Hill et al. 2016 (arXiv:1511.02301): common nouns, named entities, verbs and prepositions, 2,000 items each of the
# validation set, on which GPT-2's paper reports. The archive is
# http://www.thespermwhale.com/jaseweston/babi/CBTest.tgz, as kept by cam-cst/cbt on the Hugging Face Hub.
CBT = {
    kind: TaskData(
        PublishedFile(
            HuggingFaceDataset("cam-cst/cbt", "7503a0643517afe02a86e4750d375a9686008efa"),
            "data/CBTest.tgz",
            "sha256:932df0cadc1337b2a12b4c696b1041c1d1c6d4b6bd319874c6288f02e4a61e92",
        ),
        (f"CBTest/data/cbtest_{kind}_valid_2000ex.txt",),
    )
    for kind in ("CN", "NE", "V", "P")
}

# Merity et al. 2017 (arXiv:1609.07843). The archive is the one that used to be at
# https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-raw-v1.zip, with the digest that EleutherAI's
# harness gave for it; ggml-org/ci on the Hugging Face Hub keeps it.
WIKITEXT_2 = TaskData(
    PublishedFile(
        HuggingFaceDataset("ggml-org/ci", "927b3642933080f1b0e811e2f916e14c292992f9"),
        "wikitext-2-raw-v1.zip",
        "sha256:ef7edb566e3e2b2d31b29c1fdb0c89a4cc683597484c3dc2517919c615435a11",
        size=4_721_645,
    ),
    ("wikitext-2-raw/wiki.test.raw",),
)

# Brown et al. 2020 (arXiv:2005.14165), section 3.9: arithmetic, and words to be unscrambled. OpenAI published no
# digests: these are computed from the files in openai/gpt-3 at d7a9bb50. File -> (bytes, SHA-256).
GPT3_FILES = {
    "cycle_letters_in_word.jsonl.gz": (98_451, "1689c9002bb8c5988bf5f05e977c9db92f57932c1b5a38998c29ac0dd71e1d42"),
    "five_digit_addition.jsonl": (156_476, "30ada42efe315b958c6e9649274005d3b720e50298e92c3a2d321f8996e58f54"),
    "five_digit_subtraction.jsonl": (158_119, "8b98ccfc943cbf9193bcf1984954aa0b1a4527016072d972a2b055cc1482ca3c"),
    "four_digit_addition.jsonl": (150_570, "459c6f75baa2e8d7cf50bdd07db6d0ca9133a6b137d95d09267db85b6e07f391"),
    "four_digit_subtraction.jsonl": (152_150, "0c47db40a10c052ef0cf732a9ef2edaa53d66377d43eb47a9c382d33a8af7102"),
    "mid_word_1_anagrams.jsonl.gz": (106_533, "6768a86896083199de4815d4964cb2f6f1046476cfd80c2a562784f182905979"),
    "mid_word_2_anagrams.jsonl.gz": (109_091, "c3d839d09a7954b78a27cd2cd75d4ed0488656c56ef4dbd741a005343826cb01"),
    "random_insertion_in_word.jsonl.gz": (143_626, "72e65d83da53d15752ee0c47379509de149ddbad32d61184e5991df29616b78a"),
    "reversed_words.jsonl.gz": (91_917, "133a08f875cd6c1ef8608a3233571a773881cc27b1c707de738cc6543439332a"),
    "single_digit_three_ops.jsonl": (139_651, "08b34e3272a8ff1d4932d63f251519d14c485c38d582366e1e323d0b859c3925"),
    "six_digit_addition.jsonl": (162_559, "32fd2b1ecb44dd3960a63dc8ce75e51eb0dc7ba9e122f1aad415ca8c60ed7688"),
    "six_digit_subtraction.jsonl": (164_157, "a1b3dfb4d56409a8080be56a9f6674c315cf9d365717f7dac37c3debee6ae687"),
    "sum_of_digits.jsonl": (197_630, "45f0cf38a06ef862bc4cfb5782a87cb019be3e60a0a9a10e53967a30ef90366d"),
    "three_digit_addition.jsonl": (144_612, "124865e30efd2abfbc1855dd34c218fc02d32d780ace970ab9b4ea3fa74c798b"),
    "three_digit_subtraction.jsonl": (146_150, "7fc6aaedcb0e2bd17c398dd4147c5585b1e608278a8e98b914e69656707d6a29"),
    "two_digit_addition.jsonl": (138_624, "75a54b7a3db3b23369df74fe440c23025f3d3c51f664300bd3d56632b2617b3d"),
    "two_digit_multiplication.jsonl": (142_685, "5613d1d1cc3b2c03edc1990252247d34c10ec82944b2cdeb19e71b00f237f431"),
    "two_digit_subtraction.jsonl": (140_216, "da956066ff108c00b341d360567472784f5fd872d6465071b44a14291205bc03"),
}
GPT3 = {
    file.partition(".")[0]: TaskData(
        PublishedFile(
            GitHub("openai/gpt-3", "d7a9bb505df6f630f9bab3b30c889e52f22eb9ea"), f"data/{file}", f"sha256:{digest}", size
        )
    )
    for file, (size, digest) in GPT3_FILES.items()
}
