"""Secrets by value: found wherever they stand, quickly."""

import base64
import threading
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from twelvefactor._core.secrets import MASK, SecretRegistry

SECRETS = st.lists(st.text(min_size=8, max_size=40), min_size=1, max_size=5)
TEXTS = st.text(max_size=60)
SPELLINGS = (
    lambda value: value,
    lambda value: quote(value, safe="", errors="surrogatepass"),
    lambda value: base64.b64encode(value.encode(errors="surrogatepass")).decode(),
    lambda value: repr(value)[1:-1],
)


@settings(deadline=None)
@given(secrets=SECRETS, which=st.integers(0, 4), spell=st.sampled_from(SPELLINGS), before=TEXTS, after=TEXTS)
def test_a_secret_is_found_at_any_place(secrets, which, spell, before, after):
    """
    Whatever stands before and after, in each of its spellings.
    """
    registry = SecretRegistry()
    for each in secrets:
        registry.register(each)
    text = before + spell(secrets[which % len(secrets)]) + after

    assert registry.found_in(text)
    assert MASK in registry.mask(text)


@settings(deadline=None)
@given(secrets=SECRETS, text=TEXTS)
def test_the_quick_look_never_misses(secrets, text):
    """
    It says yes wherever the regular expression of all spellings finds something.
    """
    registry = SecretRegistry()
    for each in secrets:
        registry.register(each)

    found = registry._needles().pattern.search(text) is not None

    assert registry.found_in(text) == found
    assert not found or registry._needles().may_be_in(text)


def test_masking_needs_no_lock():
    """
    A signal handler, or a child forked while another thread registers, masks without waiting.
    """
    registry = SecretRegistry()
    registry.register("sk_live_123456")
    masked = []

    with registry._lock:
        thread = threading.Thread(target=lambda: masked.append(registry.mask("a sk_live_123456")))
        thread.start()
        thread.join(10)

    assert masked == [f"a {MASK}"]


def test_nothing_is_found_where_nothing_is_known():
    """
    An empty registry, and one that was cleared.
    """
    registry = SecretRegistry()
    assert registry.mask("sk_live_123456") == "sk_live_123456"
    registry.register("sk_live_123456")
    registry.clear()

    assert not registry.found_in("sk_live_123456")
