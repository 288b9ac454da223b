"""Spoil what is right: anything may stand where something else was expected."""

import copy
import json

from hypothesis import strategies as st

# as JSON knows them: numbers may be NaN or too large, texts may hold anything
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["1e999", "-0", "NaN", "9" * 400, "\x00", "=1+1", "<script>", "2025-13-40", "../../etc"]),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)


@st.composite
def spoilt(draw, content):
    """A copy of some content, lists and dicts within one another, with up to three places of it changed."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(content))
        if not places:
            break
        holder, at = draw(st.sampled_from(places))
        if draw(st.booleans()) and isinstance(holder, dict):
            del holder[at]
        else:
            holder[at] = draw(ANYTHING)
    return content


def _places(content):
    """Every place in the content that something stands at."""
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    for at, value in list(entries):
        yield content, at
        if isinstance(value, (dict, list)):
            yield from _places(value)


@st.composite
def broken_text(draw, text: bytes):
    """Bytes of a text with some of them cut out, put in or written over."""
    begin = draw(st.integers(0, len(text)))
    end = draw(st.integers(begin, min(len(text), begin + 200)))
    return text[:begin] + draw(st.binary(max_size=40)) + text[end:]


def spoilt_json(texts):
    """Bytes of replies: JSON with places changed, bytes changed, nested too deep, or anything at all."""
    contents = [json.loads(text) for text in texts]
    return st.one_of(
        st.sampled_from(contents).flatmap(spoilt).map(lambda content: json.dumps(content).encode()),
        st.sampled_from(texts).flatmap(broken_text),
        ANYTHING.map(lambda content: json.dumps(content).encode()),
        st.binary(max_size=60),
        st.sampled_from([b"", b"null", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe{}", b"9" * 5_000, b"1e999"]),
    )


def read_or_refused(read, *refusals):
    """What reading gives, and None; or None, and the sentence with which it is refused."""
    try:
        return read(), None
    except refusals as error:
        return None, str(error)


def is_sentence(said):
    return bool(said.strip()) and said.isprintable()
