import pytest

from vidrestore.cli.parsing.arguments import with_bare_background


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("a -o b --background", "a -o b --background auto"),
        ("a --background -o b", "a --background auto -o b"),
        ("--background --scale 2 a", "--background auto --scale 2 a"),
        ("a --background x.pth -o b", "a --background x.pth -o b"),
        ("a --background=x.pth", "a --background=x.pth"),
        ("", ""),
    ],
)
def test_background_without_a_value_gets_its_default(words: str, meant: str) -> None:
    assert with_bare_background(words.split()) == meant.split()
