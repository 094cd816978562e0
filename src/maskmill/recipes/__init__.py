"""Training settings that maskmill ships, by name: `maskmill train --config finetune`.

A recipe is a TOML file like anyone's own. Those that made the embedded default stand beside its
weights, because its card vouches for them; what stands here is meant to be used on other images.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
"""The shipped recipes."""


def recipe(path: Path) -> Path:
    """Return the file that a name or a path of settings means; a file of one's own comes first.

    Example:
        >>> recipe(Path("finetune")).name
        'finetune.toml'
        >>> recipe(Path("mine.toml")).name
        'mine.toml'
    """
    if str(path) in NAMES and not path.is_file():
        return FOLDER / f"{path}.toml"
    return path
