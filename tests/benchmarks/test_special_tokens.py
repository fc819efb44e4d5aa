"""The tokenizer of a generated benchmark: special tokens come first and are never split."""

from tokenizers import Tokenizer

from mllm.benchmarks.tokenizer import SPECIAL_TOKENS, train_tokenizer


def test_further_special_tokens_follow_the_usual_ones(tmp_path):
    special = (*SPECIAL_TOKENS, "<audio>")
    train_tokenizer(["a dog barks"] * 9, tmp_path / "tokenizer.json", 300, special)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert [tokenizer.token_to_id(token) for token in special] == [0, 1, 2, 3, 4]
    found = tokenizer.encode("<audio> dog<audio>", add_special_tokens=False).ids
    assert found[0] == found[-1] == 4 and 4 not in found[1:-1]


def test_without_further_ones_the_name_of_a_token_is_text(tmp_path):
    train_tokenizer(["a dog barks"], tmp_path / "tokenizer.json", 300)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert len(tokenizer.encode("<audio>", add_special_tokens=False).ids) > 1
