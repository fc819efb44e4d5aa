"""The published numbers of MLLM-MSR, to be shown beside ours.

Source: Ye et al. 2025 (AAAI, arXiv:2408.09698), table 3; the ablations were read off the bars of a
figure, to about half a point. Measured on other data than ours, with the same number of candidates:
one that the user took and 20 that the user did not. All are fractions of 1; a missing one is not
known. In the paper's ablation figure the values of the last two data sets stand the other way round
than in the table, so their names may be exchanged.
"""

CANDIDATES = 21
DATA = ("MicroLens", "Video Games", "Baby")
METRICS = ("auc_pooled", "hr@5", "mrr@5")
FULL = "MLLM-MSR"

# Method -> data set -> values of METRICS.
RESULTS: dict[str, dict[str, tuple[float, ...]]] = {
    "LLaVA, zero-shot": {
        "MicroLens": (0.5275, 0.2821, 0.1733),
        "Video Games": (0.5357, 0.3324, 0.1873),
        "Baby": (0.5586, 0.3482, 0.2096),
    },
    "TALLRec": {
        "MicroLens": (0.8125, 0.7123, 0.5822),
        "Video Games": (0.8179, 0.7236, 0.5738),
        "Baby": (0.8216, 0.7431, 0.6015),
    },
    FULL: {
        "MicroLens": (0.8317, 0.7823, 0.6038),
        "Video Games": (0.8439, 0.7742, 0.6325),
        "Baby": (0.8569, 0.7958, 0.6377),
    },
}
# Ablation -> AUC on each data set, in the order of DATA.
ABLATIONS: dict[str, tuple[float, ...]] = {
    "Full model": (0.832, 0.844, 0.857),
    "All items at once": (0.809, 0.812, 0.817),
    "No summaries of pictures": (0.787, 0.799, 0.803),
}
NOTE = (
    "Published rows (italic) are of Ye et al. 2025 and were measured on other data, MicroLens and "
    "the Amazon categories Video Games and Baby, also with one item that the user took among 20 "
    "others: they show what the method reached there and are no comparison with ours. They have no "
    "intervals. The names of the last two data sets may be exchanged: the paper's figure and its "
    "table disagree."
)
ABLATION_NOTE = (
    "Published rows (italic) are of other data and were read off the bars of a figure of Ye et al. "
    "2025, to about half a point."
)
