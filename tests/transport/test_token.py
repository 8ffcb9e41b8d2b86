"""Bearer tokens: right ones open, others do not, and none of them shows anywhere."""

import inspect
import logging
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport import token
from transport.token import MOST, SHORTEST, TokenError, Tokens, make_token, read_tokens

GOOD = "correct horse battery"
OTHER = "Ünïcödé passes as well"


def test_right_ones_open_and_others_do_not() -> None:
    tokens = Tokens([GOOD, OTHER])
    assert tokens.accept(GOOD) and tokens.accept(OTHER)
    for wrong in (None, "", GOOD[:-1], GOOD + "x", GOOD.upper(), GOOD + "\0", " " + GOOD, "\udc80", "x" * (MOST + 1)):
        assert not tokens.accept(wrong)


@given(st.text())
def test_nothing_else_opens(presented: str) -> None:
    assert Tokens([GOOD]).accept(presented) == (presented == GOOD)


def test_headers() -> None:
    tokens = Tokens([GOOD])
    for right in (f"Bearer {GOOD}", f"bearer  {GOOD} "):
        assert tokens.accept_header(right)
    for wrong in (None, "", "Bearer", "Bearer ", GOOD, f"Basic {GOOD}", f"Bearer{GOOD}", f"Bearer x{GOOD}"):
        assert not tokens.accept_header(wrong)


def test_a_very_long_one_is_wrong_even_if_it_is_right() -> None:
    long = "x" * (MOST + 1)
    assert not Tokens([long]).accept(long)
    assert Tokens([long[1:]]).accept(long[1:])


def test_every_token_is_compared_by_a_constant_time_function(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = token.hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(token.hmac, "compare_digest", watched)
    tokens = Tokens([GOOD, OTHER, "a third one of some length"])
    for presented in (GOOD, OTHER, "", None, "no"):
        compared.clear()
        tokens.accept(presented)
        assert compared == [(32, 32)] * 3, "the same work whatever was presented"


def test_tokens_that_protect_nothing() -> None:
    for bad in ([], [""], ["x" * (SHORTEST - 1)], [GOOD, "short"]):
        with pytest.raises(TokenError):
            Tokens(bad)


def test_a_random_one_is_new_and_fits_a_url() -> None:
    made = {make_token() for _ in range(100)}
    assert len(made) == 100
    assert all(len(each) == 32 and all(sign.isalnum() or sign in "-_" for sign in each) for each in made)
    assert Tokens(made).accept(next(iter(made)))


def test_where_they_come_from(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# the camp\n\n  {GOOD}\n{OTHER}\n")
    path.chmod(0o600)
    environment = {"LAYERCAST_TOKEN": "from the environment"}
    assert read_tokens("given", path, environment) == ("given",)
    assert read_tokens(None, path, environment) == (GOOD, OTHER)
    assert read_tokens(None, None, environment) == ("from the environment",)
    assert read_tokens(None, None, {}) == read_tokens(None, None, {"LAYERCAST_TOKEN": " "}) == ()


@pytest.mark.skipif(os.name != "posix", reason="file modes are not shown here: not a POSIX system")
def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(GOOD)
    path.chmod(0o644)
    with pytest.raises(TokenError, match="chmod 600"):
        read_tokens(file=path)
    path.write_text("# nothing\n")
    path.chmod(0o600)
    with pytest.raises(TokenError, match="holds no token"):
        read_tokens(file=path)
    path.write_bytes(b"\xff\xfe" + GOOD.encode())
    for missing in (path, tmp_path / "none", tmp_path):
        with pytest.raises(TokenError, match="cannot be read"):
            read_tokens(file=missing)


def test_they_show_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = Tokens([GOOD])
    tokens.accept("presented, and wrong")
    kept = repr(tokens) + str(tokens) + repr([getattr(tokens, name) for name in Tokens.__slots__]) + caplog.text
    assert GOOD not in kept and "presented" not in kept
    with pytest.raises(TypeError):
        pickle.dumps(tokens)
    with pytest.raises(TokenError) as error:
        Tokens(["too short"])
    frames = inspect.getinnerframes(error.tb) if error.tb else []
    assert frames and "too short" not in str(error.value)
