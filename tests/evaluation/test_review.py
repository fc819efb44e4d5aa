"""A review of records lies next to them, is of those records alone, and is whole or made again."""

from mllm.evaluation.review import Review, is_done, read_review, write_review
from mllm.files import read_json, write_json

MANIFEST = {"checkpoint_digest": "c", "protocol": {"name": "short"}}
ONE = Review("opinions", lambda records, folder, others: {}, {"judge": "a"})


def test_a_review_is_of_these_records_and_options(tmp_path):
    records = tmp_path / "records.jsonl"
    records.write_text("{}\n")
    assert read_review(records, "opinions", MANIFEST) is None
    write_review(records, ONE, {"good": 3}, MANIFEST)
    found = read_review(records, "opinions", MANIFEST)
    assert found["good"] == 3 and is_done(found, ONE)
    assert not is_done(found, Review("opinions", ONE.review, {"judge": "b"}))
    assert read_review(records, "opinions", {**MANIFEST, "checkpoint_digest": "d"}) is None
    changed = read_json(tmp_path / "opinions.json") | {"good": 4}
    write_json(tmp_path / "opinions.json", changed)
    assert read_review(records, "opinions", MANIFEST) is None
    write_review(records, ONE, {"good": 3}, MANIFEST)
    records.write_text('{"other": 1}\n')
    assert read_review(records, "opinions", MANIFEST) is None


def test_what_failed_is_tried_again(tmp_path):
    records = tmp_path / "records.jsonl"
    records.write_text("{}\n")
    write_review(records, ONE, {"errors": 2}, MANIFEST)
    assert not is_done(read_review(records, "opinions", MANIFEST), ONE)
