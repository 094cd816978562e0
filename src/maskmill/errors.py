"""The errors maskmill raises; each class has one meaning.

A caller's mistake in Python (a wrong type, an impossible argument) is `ValueError` or `TypeError`.
What comes from outside (files, settings, prompts, weights) is one of the classes below. Every
message names the value, what is allowed and the next step.
"""


class MaskmillError(Exception):
    """Anything maskmill refuses to do, with a message that a person can act on."""


class ConfigError(MaskmillError):
    """A setting has a name or a value that is not allowed."""


class ImageError(MaskmillError):
    """A file cannot be used as an image; the message names the file and the reason."""


class PromptError(MaskmillError):
    """A prompt is malformed, empty or lies outside the image."""


class MaskError(MaskmillError):
    """A mask or its run-length encoding is malformed."""


class DatasetError(MaskmillError):
    """A folder or file is not a dataset in a known form."""


class CheckpointError(MaskmillError):
    """Weights or their card are missing, damaged, unsafe or of another architecture."""


class NotFound(MaskmillError):
    """A named thing (model, image, folder) does not exist."""


class StoreError(MaskmillError):
    """A project cannot be opened, read or written as asked; nothing was changed."""


class Conflict(StoreError):
    """A write was based on a version that somebody has replaced since.

    Attributes:
        current: What is there now.
        attempted: What was asked for, which was not done.
    """

    def __init__(self, message: str, *, current: object = None, attempted: object = None) -> None:
        super().__init__(message)
        self.current = current
        self.attempted = attempted
