"""What was measured of a model is read back for the evaluation that it belongs to."""

import json

from mllm.evaluation.inspection import Inspection, read_inspection, write_inspection

MANIFEST = {"checkpoint_digest": "abc", "protocol": {"name": "p"}}
ONE = Inspection("states", lambda model: {"layers": [0.5, None]}, {"clips": 3})


def test_it_is_read_back_for_its_evaluation_only(tmp_path):
    assert read_inspection(tmp_path, "states", MANIFEST) is None
    write_inspection(tmp_path, ONE, ONE.measure(None), MANIFEST)
    found = read_inspection(tmp_path, "states", MANIFEST)
    assert found == {"layers": [0.5, None], "options": {"clips": 3}}
    assert read_inspection(tmp_path, "states", {**MANIFEST, "checkpoint_digest": "d"}) is None
    assert read_inspection(tmp_path, "other", MANIFEST) is None


def test_what_was_changed_is_not_read(tmp_path):
    write_inspection(tmp_path, ONE, ONE.measure(None), MANIFEST)
    path = tmp_path / "states.json"
    value = json.loads(path.read_text())
    for changed in (value | {"layers": [0.6, None]}, value | {"options": {}}, [value], {}):
        path.write_text(json.dumps(changed))
        assert read_inspection(tmp_path, "states", MANIFEST) is None
    path.write_text("{")
    assert read_inspection(tmp_path, "states", MANIFEST) is None
