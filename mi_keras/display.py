"""Makes names from users, files and archives safe to show: on one line, control characters escaped."""

MOST_LETTERS = 300  # of what a library or a server says: it can hold a configuration whole


def displayable(text: str) -> str:
    r"""Return a text in which every character can be printed; the others are written as Python escapes them.

    Control characters, ends of lines, letters that turn the direction of writing, and the bytes of file names that are no
    UTF-8 (`\xff`) are such. What can be printed stays, so that the text of a text is the text.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte of a file name, as `os.fsdecode` gives it
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def line_of(said: BaseException | str) -> str:
    """Return what an error, a library or a server says as one short line, to quote inside a message of one line."""
    text = " ".join(str(said).split()).rstrip(" .:")
    if not text and isinstance(said, BaseException):
        text = type(said).__name__
    text = displayable(text)
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."
