import pytest

from vidrestore.weights.manifest import WEIGHTS, WeightsEntry, weights_entry


def test_every_entry_has_its_own_name_and_file() -> None:
    assert len({entry.file_name for entry in WEIGHTS.values()}) == len(WEIGHTS)
    assert all(name == entry.name for name, entry in WEIGHTS.items())


def test_every_url_is_https_and_ends_in_its_file_name() -> None:
    for entry in WEIGHTS.values():
        assert entry.url.startswith("https://")
        assert entry.url.endswith("/" + entry.file_name)


@pytest.mark.parametrize("name", ["psfrgan", "psfrgan-parser", "gpen-512", "codeformer"])
def test_non_commercial_weights_are_marked(name: str) -> None:
    assert weights_entry(name).non_commercial


@pytest.mark.parametrize(
    "wrong",
    [{"file_name": "../net.pth"}, {"url": "file:///net.pth"}, {"sha256": "ABC"}],
)
def test_unsafe_entries_are_refused(wrong: dict[str, str]) -> None:
    fields = {
        "name": "net",
        "file_name": "net.pth",
        "url": "https://example.org/net.pth",
        "size_bytes": None,
        "sha256": None,
        "licensor": "the Tests",
        "license": "MIT",
        "non_commercial": False,
        "purpose": "a test",
    }
    with pytest.raises(ValueError, match="net: not a"):
        WeightsEntry(**(fields | wrong))  # type: ignore[arg-type]
