"""Explanations of the terms in an audit's result."""

# Behind "an API client" or "the cloud"
ADVERSARIES = {
    "class": "who uses the predicted class alone",
    "queries": "with a limited number of answers to images of its own",
    "unlimited": "with answers to all images of its own",
    "white_box": "who has the model's weights",
    "pool": "who holds a pool of candidates with the truth in it",
    "shadow": "who knows the architecture and asks nothing",
    "shadow, queries": "who knows the architecture, or has a limited number of answers, whichever gets more,",
}
VERDICTS = {
    "LEAKS": "The lower end of the 95 % interval is above the tolerance, in the pick or in the detail.",
    "INCONCLUSIVE": (
        "The interval reaches to both sides of the tolerance. It could be up to the bound that is named; more images "
        "make the interval narrower. Or an attack was not tried without which nothing can be below the tolerance."
    ),
    "BELOW TOLERANCE": (
        "With 95 % confidence the attacks that were tried get less than the tolerance, in the pick and in the detail, "
        "as far as the best of them was chosen on images kept apart. "
        "It says nothing about an attack that was not tried."
    ),
    "VOID": "A control failed, so that the numbers of this point cannot be relied on.",
}
NUMBERS = {
    "Alike": "Images of the class that the model predicts. To tell such images apart takes more than the class.",
    "Picks the image": (
        "The rebuilt image is laid beside the truth and others alike; how often the truth is the nearest. An attack "
        "that knows nothing but the class gets it right by chance."
    ),
    "AUC": "How often the right image is picked from two of its class, itself and another; 0.5 is chance.",
    "Detail shown": (
        "The share of what sets images of a class apart, pixel by pixel, that the rebuilt images show: 0 % is the mean "
        "of the class, 100 % the image itself, below 0 % is worse than the mean (R2 within the class)."
    ),
    "Strongest in": (
        "Of several attacks that is published which did best on images kept apart for the choice, for each number its own: "
        "the best on the attacked images themselves would be the luckiest. Another one may so stand above it by chance."
    ),
    "Class image": "What the class alone tells about an image. It is the same for all images of the class.",
    "[94..99]": "The 95 % interval over the attacked images.",
    "Could be up to": (
        "The upper bounds: with 95 % confidence each of the two numbers is not higher. The interval in brackets leaves 2.5 % on "
        "either side and these leave 5 % above, so they are never above its upper end."
    ),
    "Most exposed tenth": (
        "The mean over the tenth of the images that fare worst. As they are chosen by these very numbers they fare badly "
        "even where nothing leaks: chance is what the tenth would be if what was rebuilt said nothing of the image."
    ),
    "Other attackers": (
        "The published attack, trained again with other random choices: how far its numbers spread. The verdict is of the first."
    ),
    "Trained on": "How much more often images are picked that the model was trained on than others.",
    "p": "How often shuffled pairs of rebuilt and true images of a class do as well.",
    "SSIM": "Structural similarity of the rebuilt image and the truth, 1 where they are the same.",
}
# The same where all images are one class
NUMBERS_OF_ALL = {
    "Picks the image": (
        "The rebuilt image is laid beside the truth and others; how often the truth is the nearest. An attack that knows "
        "nothing of the image gets it right by chance."
    ),
    "AUC": "How often the right image is picked from two, itself and another; 0.5 is chance.",
    "Detail shown": (
        "The share of what sets images apart, pixel by pixel, that the rebuilt images show: 0 % is the mean of all images, "
        "100 % the image itself, below 0 % is worse than the mean (R2)."
    ),
    "Mean image": "The mean of the attacker's own images: what is known of an image without any answer.",
    "p": "How often shuffled pairs of rebuilt and true images do as well.",
}
DEFENCES = {
    "Keeps the class": "The share of images for which the model's class is the same behind the defence.",
    "Right answers": "The share of images whose class is the label's, behind the defence.",
    "Calibration error": "By how much the model's own confidence misses how often it is right; 0 is best.",
    "Spread": (
        "The standard deviation over images that are not attacked: of all logits together, each less its own mean (of "
        "probabilities: of their logarithm), or of each map. Noise is given in parts of it."
    ),
    "Best possible attack": (
        "It holds the images to choose from, the model and the noise, and picks the image that fits the answer best. No "
        "attack on the same answers, tried or not, picks the right one more often."
    ),
    "No attack is above": (
        "The same from the information that gets through the noise, without a pool at hand. It is loose: often 100 %."
    ),
}


def meanings(*, classes: bool, defences: bool = False) -> dict[str, str]:
    """Return all entries; without `classes`, where all images are one class, nothing is "alike"."""
    others = {word: text for word, text in NUMBERS.items() if word not in ("Alike", "Class image")}
    numbers = NUMBERS if classes else others | NUMBERS_OF_ALL
    return VERDICTS | numbers | (DEFENCES if defences else {})
