"""Pictures for the split attack: `open_faces` turns the value of `--data` into a `FaceSource` (split 3)."""

from mi_keras.data.face_source import FaceSource
from mi_keras.data.folder_faces import open_folder
from mi_keras.data.photographs import open_photographs
from mi_keras.data.tfds_faces import open_tfds
from mi_keras.data.zip_faces import open_zip
from mi_keras.errors import InputError

__all__ = ["DEFAULT_FACES", "FaceSource", "open_faces"]

DEFAULT_FACES = "photographs"


def open_faces(spec: str, *, offline: bool = False) -> FaceSource:
    """List the pictures that `spec` names. A failure is an error; no other source is used instead.

    Args:
        spec: `photographs` for tiles of the photographs that scikit-image ships, `folder:PATH` for the images below a
            folder, `zip:PATH` for those in an archive, which is not unpacked, `tfds:NAME` for a set of TensorFlow
            Datasets with the feature `image`, such as celeb_a.
        offline: never download; a `tfds:` data set must be on the disk already.

    Raises:
        InputError: `spec` has another form, or its images cannot be read, are refused or are none.
    """
    scheme, _, name = spec.partition(":")
    if spec == DEFAULT_FACES:
        source = open_photographs()
    elif scheme == "folder" and name:
        source = open_folder(name)
    elif scheme == "zip" and name:
        source = open_zip(name)
    elif scheme == "tfds" and name:
        source = open_tfds(name, offline=offline)
    else:
        raise InputError(f"`data` must be photographs, folder:PATH, zip:PATH or tfds:NAME; got {spec!r}.")
    if not source.keys:
        raise InputError(
            f"`data='{spec}'` must hold images (.jpg, .jpeg, .png, .bmp or .webp; hidden files and links that lead "
            "out of a folder do not count); got none."
        )
    return source
