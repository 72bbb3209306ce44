"""How many images each class shall have, from the words of a command line."""

_WORDS = ("auto", "minority", "not minority", "not majority", "all")


def wanted_counts(words, counts):
    """Return how many images each class shall have that gets more.

    Parameters
    ----------
    words : sequence of str
        One of ``auto``, ``minority``, ``not minority``, ``not majority``, ``all``, or a ratio such as ``0.8`` of the
        smaller to the larger of two classes; or ``NAME=NUMBER`` for each class that shall have so many.
    counts : dict of str to int
        Number of images of each class.

    Returns
    -------
    wanted : dict of str to int
        Without classes that have enough.

    Raises
    ------
    ValueError
        When the words mean nothing, or not with these classes.
    """
    most, least = max(counts.values()), min(counts.values())
    rarest = min(counts, key=counts.get)
    largest = max(counts, key=counts.get)
    if any("=" in word for word in words):
        return _named_counts(words, counts)
    if len(words) != 1:
        raise ValueError(f"strategy must be one word, or NAME=NUMBER for each class; got {' '.join(words)}.")
    word = words[0]
    if word in _WORDS:
        chosen = {
            "minority": {rarest},
            "not minority": counts.keys() - {rarest},
            "all": counts.keys(),
        }.get(word, counts.keys() - {largest})
        return {name: most for name, count in counts.items() if name in chosen and count < most}
    try:
        ratio = float(word)
    except ValueError:
        ratio = float("nan")
    if not 0 < ratio <= 1:
        raise ValueError(f"strategy must be {', '.join(_WORDS)}, a ratio such as 0.8, or NAME=NUMBER; got {word!r}.")
    if len(counts) != 2:
        raise ValueError(
            f"strategy must be a word or NAME=NUMBER with {len(counts)} classes; got the ratio {word}, which is "
            "defined for two."
        )
    if int(ratio * most) < least:
        raise ValueError(
            f"strategy must ask for more images than there are; {word} times {most} is less than the {least} of "
            f"{rarest}."
        )
    return {rarest: int(ratio * most)} if int(ratio * most) > least else {}


def _named_counts(words, counts):
    wanted = {}
    for word in words:
        name, _, number = word.rpartition("=")
        if not name or not number.isdecimal():
            raise ValueError(f"strategy must be NAME=NUMBER for each class, or one word; got {word!r}.")
        if name not in counts:
            raise ValueError(f"strategy must name classes of the folder, {', '.join(counts)}; got {name!r}.")
        if name in wanted:
            raise ValueError(f"strategy must name each class once; got {name!r} again.")
        if int(number) < counts[name]:
            raise ValueError(
                f"strategy must ask for at least {counts[name]} images of {name}, because real images are never "
                f"removed; got {number}."
            )
        wanted[name] = int(number)
    return {name: number for name, number in wanted.items() if number > counts[name]}
