"""Archives of batches: opened only if safe and whole."""

from __future__ import annotations

import stat
import zipfile

import pytest
from fake_gas import batches, dat, message, zipped

from lnn.datasets import gas_archive
from lnn.datasets.gas_regression import gas_drift as load


def test_not_a_zip(tmp_path):
    path = tmp_path / "gas.zip"
    path.write_text("<html>")
    message("gas.zip is not a zip file, or a damaged one", load, path=path)


def crafted(tmp_path, name, data="x", **attributes):
    """A zip with one member whose record says what the attributes say."""
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("placeholder" if "\\" in name else name)
        info.compress_type = zipfile.ZIP_DEFLATED
        for key, value in attributes.items():
            setattr(info, key, value)
        archive.writestr(info, data)
        info.filename = name
    return path


@pytest.mark.parametrize(
    "name",
    ["/batch1.dat", "../batch1.dat", "a/../../batch1.dat", "C:/batch1.dat", "..\\batch1.dat"],
)
def test_unsafe_paths_are_refused(name, tmp_path):
    path = crafted(tmp_path, name)
    text = message("holds the unsafe path .*not opened", load, path=path)
    assert "batch1.dat" in text


def test_links_and_encrypted_members_are_refused(tmp_path):
    path = crafted(tmp_path, "batch1.dat", external_attr=(stat.S_IFLNK | 0o777) << 16)
    message("holds the symbolic link 'batch1.dat'", load, path=path)
    path.write_bytes(set_flag(zipped(batches()), 1))
    message("holds the encrypted member 'Dataset/batch1.dat'", load, path=path)


def set_flag(data, flag):
    """Set a general-purpose flag in every record of a zip's central directory."""
    data = bytearray(data)
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 8] |= flag
        at = data.find(b"PK\x01\x02", at + 1)
    return bytes(data)


def test_bombs_are_refused(tmp_path):
    path = crafted(tmp_path, "batch1.dat", data=b"0" * 10_000_000)
    message("unpacks to 10000000 bytes from .*as a zip bomb does", load, path=path)
    members = dict.fromkeys(("a", "b", "c"), "0" * 1000)
    path.write_bytes(zipped(members))

    def opened(**limits):
        return list(gas_archive.from_zip(path, gas_archive.Limits(**limits)))

    message("would unpack to 3000 bytes", opened, bytes_in_all=2000)
    message(r"holds 3 members \(at most 2 are accepted\)", opened, members=2)


def test_a_member_that_lies_about_its_size_is_damaged(tmp_path):
    text = dat()
    data = bytearray(zipped({"batch1.dat": text}))
    at = data.find(b"PK\x01\x02")
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")
    path = tmp_path / "lie.zip"
    path.write_bytes(data)
    message("the member 'Dataset/batch1.dat' is damaged", load, path=path)


def test_a_flipped_byte_is_damage(zip_path):
    data = bytearray(zip_path.read_bytes())
    data[5000] ^= 0xFF
    zip_path.write_bytes(data)
    message("the member 'Dataset/batch1.dat' is damaged", load, path=zip_path)


def test_folder_limit(tmp_path):
    for name, text in batches().items():
        (tmp_path / name).write_text(text)

    def read():
        return list(gas_archive.from_folder(tmp_path, gas_archive.Limits(bytes_in_all=20_000)))

    message("hold more than 20000 bytes", read)
