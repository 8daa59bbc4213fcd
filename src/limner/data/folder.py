"""A folder of pictures: captions in ``metadata.csv`` (``file_name,text``), or in a ``.txt`` beside each picture."""

from __future__ import annotations

import csv
from pathlib import Path

from limner.data.epochs import Item
from limner.data.pair import Broken
from limner.errors import DataError
from limner.pictures.load import SUFFIXES

METADATA = "metadata.csv"


def read_folder(folder: Path, captions: bool = True) -> tuple[list[Item], list[Broken]]:
    """The folder's samples in the order of their names (or of the lines of metadata.csv), and what cannot be used.

    captions: whether a picture needs one. Subfolders are read too, names that start with a dot are not. Raises
    DataError: no folder, no picture, no caption at all, a metadata.csv without the two columns.
    """
    if not folder.is_dir():
        raise DataError(f"--data {folder}: expected a folder of pictures, shards or storybook, got no such folder")
    table = folder / METADATA
    if table.is_file():
        items, broken = _from_table(folder, table)
        what = f"{table}: expected lines with a file_name of a picture and a text"
    else:
        items, broken = _from_texts(folder, captions)
        what = f"{folder}: expected pictures with a {METADATA} (file_name,text) or a .txt beside each"
    if not items:
        found = f"{len(broken)} without ({broken[0].name}: {broken[0].cause})" if broken else "no picture at all"
        raise DataError(f"{what}, got {found}")
    return items, broken


def _from_table(folder: Path, table: Path) -> tuple[list[Item], list[Broken]]:
    items: list[Item] = []
    broken: list[Broken] = []
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if not {"file_name", "text"} <= set(columns):
                got = ", ".join(columns) or "nothing"
                raise DataError(f"{table}: expected a first line with file_name and text, got {got}")
            for line in reader:
                name, text = line["file_name"] or "", (line["text"] or "").strip()
                path = folder / name
                if not name or not path.is_file():
                    broken.append(Broken(name or f"line {reader.line_num}", "missing file"))
                elif not text:
                    broken.append(Broken(name, "empty caption"))
                else:
                    items.append(Item(name, path, text))
    except UnicodeDecodeError:
        raise DataError(f"{table}: expected UTF-8, got another encoding; save it as UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{table}: expected comma-separated values, got something else ({error})") from error
    except OSError as error:
        raise DataError(f"{table}: cannot be read ({error.strerror})") from error
    return items, broken


def _from_texts(folder: Path, captions: bool) -> tuple[list[Item], list[Broken]]:
    items: list[Item] = []
    broken: list[Broken] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in Path(name).parts):
            continue
        beside = path.with_suffix(".txt")
        if beside.is_file():
            items.append(Item(name, path, beside))
        elif captions:
            broken.append(Broken(name, "no caption"))
        else:
            items.append(Item(name, path, None))
    return items, broken
