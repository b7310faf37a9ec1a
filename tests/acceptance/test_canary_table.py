"""Every kind of credentials x every place where something can be read: nothing of them is there.

For each place a control run, with what guards it taken away, finds them: the search would see it.
"""

from __future__ import annotations

import stat
from pathlib import Path

import canary_kit
import pytest
from canary_kit import ASKED_FOR, KINDS, NEVER_SENT, PLACED, PLACES, Seen


async def seen_of(
    kind: str, directory: Path, *, refuses: bool = False, guarded: bool = True
) -> Seen:
    """What can be read in each place with a kind of credentials."""
    async with canary_kit.echoing(refuses=refuses) as base:
        config = canary_kit.config_of(directory, base, kind)
        return await canary_kit.shown(config, None if guarded else canary_kit.guards_off)


@pytest.mark.parametrize("kind", [*KINDS, *PLACED])
async def test_nothing_of_a_credential_is_in_any_place(kind: str, tmp_path: Path) -> None:
    seen = await seen_of(kind, tmp_path)
    assert {place: canary_kit.found_in(seen[place]) for place in PLACES} == dict.fromkeys(
        PLACES, ""
    )
    assert all(seen[place] for place in PLACES), "each place has something to look at"
    assert b"403" in seen["log"] and b"403" in seen["error"] and b"403" in seen["status"]
    assert b"it begins" in seen["dead letter"]


@pytest.mark.parametrize("kind", ASKED_FOR)
async def test_nothing_of_it_is_told_when_its_endpoint_refuses(kind: str, tmp_path: Path) -> None:
    seen = await seen_of(kind, tmp_path, refuses=True)
    assert {place: canary_kit.found_in(each) for place, each in seen.items() if each} == {
        place: "" for place, each in seen.items() if each
    }
    assert b"answered 401, saying 'no: sent" in seen["error"]


async def unseen_without_guards(kind: str, directory: Path) -> list[str]:
    """The places in which a control run shows nothing of a credential."""
    seen = await seen_of(kind, directory, guarded=False)
    return [place for place in PLACES if not canary_kit.found_in(seen[place])]


@pytest.mark.parametrize(
    "kind", ["api_key in the query", "session in a cookie", "secret in the path"]
)
async def test_without_the_guards_it_is_found_in_each_place(kind: str, tmp_path: Path) -> None:
    assert await unseen_without_guards(kind, tmp_path) == []


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [kind for kind in (*KINDS, *PLACED) if kind not in NEVER_SENT])
async def test_without_the_guards_each_kind_is_found_in_each_place(
    kind: str, tmp_path: Path
) -> None:
    assert await unseen_without_guards(kind, tmp_path) == []


async def test_a_refresh_token_is_kept_in_its_own_place_for_its_user_only(tmp_path: Path) -> None:
    await seen_of("refresh token", tmp_path)
    [file] = (tmp_path / "state" / "credentials").glob("*.json")
    assert canary_kit.REFRESHED in file.read_text()
    assert canary_kit.CANARY not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
