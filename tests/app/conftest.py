"""What all tests of pages share."""

import pytest
import streamlit as st


@pytest.fixture(autouse=True)
def empty_caches() -> None:
    """Caches are keyed by study and version, which other tests use for other folders."""
    st.cache_data.clear()
    st.cache_resource.clear()
