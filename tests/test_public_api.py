import tomllib
from pathlib import Path

import pytest

import vidrestore
from vidrestore import errors

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


@pytest.mark.parametrize("name", vidrestore.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(vidrestore, name) is not None


def test_the_public_names_are_exactly_those_listed() -> None:
    tree = {name for name, value in vars(errors).items() if isinstance(value, type)}
    others = {
        "JobSettings",
        "OutputFrame",
        "Progress",
        "ProgressCallback",
        "RestoreReport",
        "RestoreSettings",
        "Video",
        "VideoInfo",
        "__version__",
        "open",
        "probe",
        "restore_video",
    }

    assert set(vidrestore.__all__) == tree | others
    assert dir(vidrestore) == sorted(vidrestore.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'restore_vidio'"):
        _ = vidrestore.restore_vidio


def test_every_error_is_a_vidrestore_error() -> None:
    tree = [value for value in vars(errors).values() if isinstance(value, type)]

    assert all(issubclass(error, vidrestore.VidrestoreError) for error in tree)


def test_every_public_callable_has_a_docstring() -> None:
    for name in vidrestore.__all__:
        value = getattr(vidrestore, name)
        if callable(value) and name != "ProgressCallback":
            assert value.__doc__, name
            assert not value.__doc__.startswith(f"{name}("), f"{name} has a generated docstring"


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]

    assert vidrestore.__version__ == project["version"]


def test_the_package_ships_its_types() -> None:
    assert (Path(vidrestore.__file__).parent / "py.typed").is_file()
