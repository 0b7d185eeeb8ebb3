from pathlib import Path

import pytest

from ncore.store import Store, create_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store in a local folder."""
    return create_store(tmp_path / "store")
