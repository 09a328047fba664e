"""Word alignment: awesome-align against a reimplementation, the diagonal, error rates by hand."""

import pytest
import torch
from awesome_align import modeling
from awesome_align.tokenization_bert import BertTokenizer as AwesomeTokenizer
from safetensors.torch import load_file, save_file
from tiny_models import TEXTS, bert_text, save_masked_bert, save_unigram_bert, save_vocabulary, unigram_text
from transformers import BertTokenizer, GPT2Config

from clseave.foundation.errors import UserError
from clseave.miniature.grammar import LANGUAGES, express
from clseave.miniature.statements import all_facts
from clseave.models.loading import load_text_encoder
from clseave.models.tokens import encode, word_pieces
from clseave.word_alignment import segmentation
from clseave.word_alignment.aligner import WordAligner, alignment_scores, diagonal

THRESHOLD = 0.05  # high enough that a random model leaves some pairs out


@pytest.fixture(scope="module")
def mbert(tmp_path_factory):
    return save_masked_bert(tmp_path_factory.mktemp("mbert"), seed=2, num_hidden_layers=3)


def sides(language, count=4):
    facts = all_facts()[:: len(all_facts()) // count][:count]
    return (
        [list(express(fact, "en", 0).words) for fact in facts],
        [list(express(fact, language, 0).words) for fact in facts],
    )


def reimplemented(folder, source, target, layer, threshold):
    """Token states of one layer, dot products, softmax over either side, both above the threshold, any sub-word."""
    tokenizer, model = bert_text(), load_text_encoder(folder)

    def states(words):
        pieces = [tokenizer.tokenize(word) for word in words]
        ids = [
            tokenizer.cls_token_id,
            *tokenizer.convert_tokens_to_ids([token for piece in pieces for token in piece]),
            tokenizer.sep_token_id,
        ]
        with torch.no_grad():
            hidden = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0, 1:-1]
        return hidden, [number for number, piece in enumerate(pieces) for _ in piece]

    (left, left_words), (right, right_words) = states(source), states(target)
    scores = left @ right.T
    kept = (scores.softmax(1) > threshold) & (scores.softmax(0) > threshold)
    return sorted({(left_words[i], right_words[j]) for i, j in kept.nonzero().tolist()})


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("layer", [2, 3])
def test_awesome_align_does_what_its_paper_says(mbert, language, layer):
    sources, targets = sides(language)
    found = WordAligner(mbert, layer, THRESHOLD, batch_size=3).align(sources, targets)
    wanted = [reimplemented(mbert, *pair, layer, THRESHOLD) for pair in zip(sources, targets, strict=True)]
    assert [list(map(tuple, pairs)) for pairs in found] == wanted
    whole = sum(len(source) * len(target) for source, target in zip(sources, targets, strict=True))
    assert 0 < sum(map(len, found)) < whole


def test_layers_give_other_pairs(mbert):
    sources, targets = sides("de")
    assert WordAligner(mbert, 1, THRESHOLD, 4).align(sources, targets) != WordAligner(mbert, 3, THRESHOLD, 4).align(
        sources, targets
    )


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_batch_does_not_matter(mbert, batch_size):
    sources, targets = sides("nl")
    assert WordAligner(mbert, 2, THRESHOLD, batch_size).align(sources, targets) == WordAligner(
        mbert, 2, THRESHOLD, 3
    ).align(sources, targets)


@pytest.mark.parametrize("language", ["de", "ja"])
def test_sorting_by_length_changes_no_pair(mbert, language):
    """Sentences of one to twelve words in mixed order: every batch size gives what each pair gives by itself."""
    sources, targets = sides(language, 48)
    sources = [words[: 1 + row % 12] for row, words in enumerate(sources)]
    targets = [words[: 1 + row * 5 % 12] for row, words in enumerate(targets)]
    alone = [
        WordAligner(mbert, 2, THRESHOLD, 1).align([one], [other])[0]
        for one, other in zip(sources, targets, strict=True)
    ]
    assert len({len(pairs) for pairs in alone}) > 3
    for size in (1, 5, 48):
        assert WordAligner(mbert, 2, THRESHOLD, size).align(sources, targets) == alone


def test_batches_hold_sentences_of_like_length_and_no_more_padding_than_their_longest(mbert, monkeypatch):
    aligner = WordAligner(mbert, 2, THRESHOLD, 2)
    shapes, inner = [], aligner.model.get_aligned_word

    def spy(left, right, *rest, **settings):
        shapes.append((tuple(left.shape), tuple(right.shape)))
        return inner(left, right, *rest, **settings)

    monkeypatch.setattr(aligner.model, "get_aligned_word", spy)
    long, short = ["red"] * 20, ["red"] * 2
    found = aligner.align([long, short, long, short], [short, short, short, short])
    pieces = len(bert_text().tokenize("red"))
    assert shapes == [((2, 2 * pieces + 2),) * 2, ((2, 20 * pieces + 2), (2, 2 * pieces + 2))]
    assert found[0] == found[2] and found[1] == found[3] and found[0] != found[1]


def test_a_sentence_longer_than_the_model_is_cut_and_counted(mbert):
    aligner = WordAligner(mbert, 2, 1e-9, 4)
    (pairs,) = aligner.align([["red"] * 200], [["rot"] * 3])
    fits = (40 - 2) // len(bert_text().tokenize("red"))
    assert aligner.cut == 1 and max(i for i, _ in pairs) <= fits
    aligner.align([["red"] * 3], [["rot"] * 3])
    assert aligner.cut == 1


def test_the_models_own_length_counts_too(tmp_path):
    """The hub's tokenizer may say less than the truth: positions beyond the model's would be an error."""
    folder = save_masked_bert(tmp_path, max_position_embeddings=12)
    aligner = WordAligner(folder, 2, THRESHOLD, 4)
    aligner.align([["red"] * 50], [["rot"] * 50])
    assert aligner.cut == 2


def test_weights_without_a_head_and_under_their_old_names_give_the_same_pairs(mbert, tmp_path):
    """As BertModel saves them, and as the hub holds mBERT's."""
    sources, targets = sides("de")
    wanted = WordAligner(mbert, 2, THRESHOLD, 4).align(sources, targets)
    weights = load_file(mbert / "model.safetensors")
    old = {name.replace("LayerNorm.weight", "LayerNorm.gamma"): value for name, value in weights.items()}
    old = {name.replace("LayerNorm.bias", "LayerNorm.beta"): value for name, value in old.items()}
    bare = {name.removeprefix("bert."): value for name, value in weights.items() if name.startswith("bert.")}
    assert old.keys() != weights.keys() != bare.keys()
    for name, changed in (("old", old), ("bare", bare)):
        folder = save_masked_bert(tmp_path / name, seed=9, num_hidden_layers=3)
        save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
        assert WordAligner(folder, 2, THRESHOLD, 4).align(sources, targets) == wanted


def test_pairs_count_words_not_pieces(mbert):
    aligner = WordAligner(mbert, 2, 1e-9, 1)  # everything is above this threshold
    source, target = ["trianglecircle", "red"], ["rot", "Kreisdreieck", "blau"]
    assert min(len(aligner.tokenizer.tokenize(word)) for word in (source[0], target[1])) > 1
    assert aligner.align([source], [target]) == [[[i, j] for i in range(2) for j in range(3)]]


def test_a_layer_that_the_model_does_not_have_raises(mbert):
    with pytest.raises(UserError, match=r"layer is 4, but .* has 3 layers"):
        WordAligner(mbert, 4, THRESHOLD, 8)


def test_the_special_ids_are_those_of_our_tokenizer(mbert):
    modeling.PAD_ID, modeling.CLS_ID, modeling.SEP_ID = 0, 101, 102
    aligner = WordAligner(mbert, 2, THRESHOLD, 8)
    wanted = bert_text().pad_token_id, bert_text().cls_token_id, bert_text().sep_token_id
    assert (modeling.PAD_ID, modeling.CLS_ID, modeling.SEP_ID) == wanted == (0, 2, 3)
    assert (aligner.tokenizer.pad_token_id, aligner.tokenizer.cls_token_id, aligner.tokenizer.sep_token_id) == wanted


def test_the_package_reads_words_as_our_tokenizer_does(mbert):
    aligner = WordAligner(mbert, 2, THRESHOLD, 8)
    for language in LANGUAGES:
        for words in sides(language)[1]:
            for word in words:  # case, accents and Han characters are kept
                assert aligner.tokenizer.tokenize(word) == bert_text().tokenize(word)


def test_a_missing_weight_raises(tmp_path):
    folder = save_masked_bert(tmp_path)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if "layer.1.attention.self.key.weight" not in name},
        folder / "model.safetensors",
    )
    with pytest.raises(UserError, match="lacks weights"):
        WordAligner(folder, 2, THRESHOLD, 8)


@pytest.mark.parametrize("words", [[], [""], ["  "]])
def test_a_sentence_without_a_word_is_named(mbert, words):
    with pytest.raises(UserError, match="no word to align"):
        WordAligner(mbert, 2, THRESHOLD, 8).align([["red"]], [words])


def test_the_same_sentences_give_the_same_pairs(mbert):
    sources, targets = sides("ja")
    first, second = (WordAligner(mbert, 2, THRESHOLD, 4).align(sources, targets) for _ in range(2))
    assert first == second == [sorted(pairs) for pairs in first]


@pytest.mark.parametrize(
    ("source", "target", "wanted"),
    [
        ("a b c", "x y z", [[0, 0], [1, 1], [2, 2]]),
        ("a b c", "x", [[0, 0], [1, 0], [2, 0]]),
        ("a", "x y z", [[0, 0]]),
        ("a b", "x y z", [[0, 0], [1, 2]]),
        ("a b c d e", "x y z", [[0, 0], [1, 1], [2, 1], [3, 2], [4, 2]]),  # 0, 0.5, 1, 1.5, 2: halves go up
        ("a b c", "", []),
        ("", "x", []),
    ],
)
def test_diagonal_by_hand(source, target, wanted):
    assert diagonal(source.split(), target.split()) == wanted


def test_error_rates_by_hand():
    found = [[[0, 0], [1, 1], [2, 0]], [[0, 1]]]
    gold = [[[0, 0], [1, 1]], [[0, 1], [1, 0], [2, 2]]]
    # Hits 2 + 1 = 3 of 4 found and 5 gold pairs: 1 - 6/9, 3/4, 3/5.
    assert alignment_scores(found, gold) == {"aer": round(1 / 3, 6), "precision": 0.75, "recall": 0.6}


def test_error_rates_with_possible_pairs_by_hand():
    found = [[[0, 0], [1, 1], [2, 2], [3, 3]]]
    sure, possible = [[[0, 0], [4, 4]]], [[[1, 1], [2, 2], [5, 5]]]
    # A 4, S 2, P 5; A and S 1, A and P 3: 1 - (1 + 3)/(4 + 2), 3/4, 1/2.
    wanted = {"aer": round(1 / 3, 6), "precision": 0.75, "recall": 0.5}
    assert alignment_scores(found, sure, possible) == wanted
    # A file may name a sure pair among the possible ones again.
    assert alignment_scores(found, sure, [possible[0] + sure[0]]) == wanted
    assert alignment_scores(found, sure, [[]]) == alignment_scores(found, sure)


@pytest.mark.parametrize(
    ("found", "aer"), [([[[0, 0]]], 0.0), ([[[1, 1]]], 1.0), ([[]], 1.0), ([[[0, 0], [0, 0]]], 0.0)]
)
def test_error_rates_at_the_edges(found, aer):
    assert alignment_scores(found, [[[0, 0]]])["aer"] == aer


def test_an_error_rate_without_gold_raises():
    with pytest.raises(ValueError, match="no gold pair"):
        alignment_scores([[[0, 0]]], [[]])


def test_sentences_without_gold_or_answer_must_match_in_number():
    with pytest.raises(ValueError):
        alignment_scores([[[0, 0]]], [[[0, 0]], [[0, 0]]])


ODD = [
    "Straße",
    "ÄÖÜé",
    "e\u0301",
    "左上",
    "円があります",
    "원이",
    "\u00ada\u200bb",
    "don't",
    "x" * 101,
    "ДЖЖ",
    "🙂",
    "½",
    "\ufffd",
]


def test_pieces_of_a_cased_wordpiece_are_those_of_awesome_aligns_own_tokenizer(tmp_path):
    folder = save_vocabulary(tmp_path, {"do_lower_case": False})
    theirs = AwesomeTokenizer(str(folder / "vocab.txt"), do_lower_case=False)
    found = {word for text in TEXTS for word in segmentation.words(text, "de", {"default": "bert"})}
    for word in [*sorted(found), *ODD]:
        assert word_pieces(bert_text(), word) == theirs.convert_tokens_to_ids(theirs.tokenize(word)), word


@pytest.mark.parametrize("lower", [False, True])
def test_student_and_aligner_agree_on_case_and_accents(tmp_path, lower):
    """The vocabulary of an uncased model holds no capital: read as a cased one's, each such word would be unknown."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ein", "madchen", "lauft", "Ein", "Mädchen", "läuft"]
    tokenizer = BertTokenizer(vocab={token: row for row, token in enumerate(tokens)}, do_lower_case=lower)
    folder = save_masked_bert(tmp_path, vocab_size=len(tokens))
    tokenizer.save_pretrained(folder)
    aligner, sentence = WordAligner(folder, 2, THRESHOLD, 4), "Ein Mädchen läuft"
    (row,) = encode(aligner.tokenizer, [sentence]).tolist()
    assert aligner._encode(sentence.split())[0] == row == [2, *((5, 6, 7) if lower else (8, 9, 10)), 3]


def test_a_special_token_among_the_words_is_text(mbert):
    aligner = WordAligner(mbert, 2, THRESHOLD, 4)
    ids, numbers = aligner._encode(["Ein", "[SEP]", "[PAD]", "Kreis"])
    assert [row for row, token in enumerate(ids) if token in (0, 2, 3, 4)] == [0, len(ids) - 1]
    assert set(numbers) == {0, 1, 2, 3}


def test_a_bert_with_sentencepieces_is_aligned_with_its_own_special_tokens(tmp_path):
    """As multilingual-e5-small, in which [PAD], [UNK], [CLS] and [SEP] have other names and places."""
    folder = save_unigram_bert(tmp_path)
    aligner = WordAligner(folder, 2, 1e-9, 2)
    assert (modeling.PAD_ID, modeling.CLS_ID, modeling.SEP_ID) == (1, 0, 2)
    source, target = ["A", "red", "circle"], ["Ein", "</s>", "ДЖЖ", "Kreis"]
    ids, _ = aligner._encode(target)
    pieces = unigram_text().convert_ids_to_tokens(ids)
    assert pieces[0] == "<s>" and pieces[-1] == "</s>" and not {"<s>", "</s>", "<pad>"}.intersection(pieces[1:-1])
    found = aligner.align([source, source[:1]], [target, target])
    assert {i for i, _ in found[0]} == {0, 1, 2} and {j for _, j in found[0]} == {0, 1, 2, 3}
    assert found[1] == aligner.align([source[:1]], [target])[0]  # padding is not seen


def test_a_model_of_another_architecture_is_named(tmp_path):
    save_masked_bert(tmp_path)
    GPT2Config(num_hidden_layers=2).save_pretrained(tmp_path)
    for load in (load_text_encoder, lambda folder: WordAligner(folder, 2, THRESHOLD, 4)):
        with pytest.raises(UserError, match=r"config\.json: found a model of type 'gpt2', allowed: BERT, LaBSE"):
            load(tmp_path)


def test_a_tokenizer_with_more_words_than_the_model_is_named(tmp_path):
    folder = save_masked_bert(tmp_path, vocab_size=len(bert_text()) - 1)
    with pytest.raises(UserError, match=rf"has {len(bert_text())} tokens, the model {len(bert_text()) - 1}"):
        WordAligner(folder, 2, THRESHOLD, 4)
