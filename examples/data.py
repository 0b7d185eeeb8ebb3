"""Write the data of the examples from what is installed anyway: ``python examples/data.py``.

``docstrings.csv``: what functions and classes of Python's library say of themselves, by what their module is for.
``cancer.csv``: scikit-learn's breast cancer data, with some gaps and a column of categories.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

HERE = Path(__file__).parent
MODULES = {
    "files": "os shutil pathlib tempfile zipfile tarfile gzip bz2 lzma io fileinput glob filecmp mmap posixpath stat",
    "network": "socket ssl http.client http.server http.cookies http.cookiejar urllib.request urllib.parse "
    "urllib.response smtplib ftplib poplib imaplib socketserver ipaddress xmlrpc.client selectors asyncio.streams "
    "asyncio.sslproto",
    "text": "re string textwrap html html.parser json csv configparser difflib email.message email.header email.utils "
    "xml.dom.minidom xml.sax.handler xml.etree.ElementTree codecs unicodedata gettext locale",
    "numbers": "math cmath statistics decimal fractions random numbers colorsys datetime calendar heapq bisect array "
    "operator zoneinfo time",
    "processes": "threading multiprocessing.pool multiprocessing.managers multiprocessing.connection subprocess "
    "concurrent.futures.thread concurrent.futures.process sched signal queue contextvars asyncio.locks asyncio.tasks "
    "asyncio.queues asyncio.events asyncio.subprocess _thread",
    "language": "ast dis inspect typing types importlib.util importlib.abc importlib.machinery pickle copyreg tokenize "
    "symtable traceback pdb doctest unittest.case unittest.mock unittest.suite functools abc dataclasses enum weakref",
}


def docstrings() -> pd.DataFrame:
    """A row a docstring of three words or more, each only once."""
    rows = {}
    for label, names in MODULES.items():
        for name in names.split():
            try:
                module = importlib.import_module(name)
            except ImportError:  # not on this system
                continue
            members = [item for _, item in inspect.getmembers(module) if getattr(item, "__module__", name) == name]
            for item in members:
                inside = [own for _, own in inspect.getmembers(item)] if inspect.isclass(item) else []
                for one in (item, *inside):
                    text = inspect.getdoc(one) if callable(one) and one is not type else None
                    if text and len(text.split()) > 2:
                        rows.setdefault(text[:2000], (label, name))
    inherited = {inspect.getdoc(getattr(object, name)) for name in dir(object)}
    return pd.DataFrame(
        [(text, *told) for text, told in rows.items() if text not in inherited], columns=["text", "topic", "module"]
    )


def cancer() -> pd.DataFrame:
    """Thirty measurements of each of 569 tumours, and what it was."""
    found = load_breast_cancer(as_frame=True)
    frame = found.data.rename(columns=lambda name: name.replace(" ", "_"))
    rng = np.random.default_rng(0)
    frame["size"] = pd.cut(frame["mean_radius"], [0, 11, 14, 17, 99], labels=["small", "medium", "large", "huge"])
    frame.loc[rng.random(len(frame)) < 0.1, "mean_texture"] = np.nan
    frame.insert(0, "id", [f"p{row:03}" for row in range(len(frame))])
    return frame.assign(diagnosis=found.target_names[found.target])


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what parts of the library say of their own future
        texts = docstrings()
    texts.to_csv(HERE / "docstrings.csv", index=False)
    cancer().to_csv(HERE / "cancer.csv", index=False)
    print(f"{len(texts)} docstrings of {texts['module'].nunique()} modules, and {len(cancer())} tumours")
