"""What all tests of pages share."""

from collections.abc import Iterator

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner


@pytest.fixture(scope="session", autouse=True)
def installed_components() -> Iterator[None]:
    """Streamlit reads the metadata of every installed package for each page; once is enough."""
    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: found)
        yield


@pytest.fixture(autouse=True)
def empty_caches() -> None:
    """Caches are keyed by study and version, which other tests use for other folders."""
    st.cache_data.clear()
    st.cache_resource.clear()
