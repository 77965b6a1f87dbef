"""Problem sets: embedded ones by name, a user's JSONL with its mistakes named by line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Literal

import pytest

from lrbench.errors import DataError
from lrbench.recipe.schema import Data
from lrbench.sampling.problems import Problems, check_validation_size, load_held_out, load_problems


def write(path: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def load(path: Path, problems: int = 1) -> Problems:
    return load_problems(Data(train=str(path), problems=problems))


def test_the_first_problems_of_an_embedded_set_are_taken_in_order() -> None:
    ten = load_problems(Data(train="embedded/multi_step", problems=10))
    five = load_problems(Data(train="embedded/multi_step", problems=5))
    assert ten.ids[:5] == five.ids
    assert ten.texts_hash != five.texts_hash
    assert all(ten.answers)


def test_a_sample_depends_on_its_seed_alone_and_grows() -> None:
    def ids(problems: int, seed: int) -> list[str]:
        data = Data(train="embedded/multi_step", problems=problems, selection="sample", seed=seed)
        return load_problems(data).ids

    fifty = ids(50, seed=1)
    assert ids(50, seed=1) == fifty
    assert len(set(fifty) & set(ids(50, seed=2))) < 25
    assert set(ids(20, seed=1)) < set(fifty)
    whole = load_problems(Data(train="embedded/multi_step", problems=1024)).ids
    assert fifty == [one for one in whole if one in fifty]
    assert ids(1024, seed=3) == whole


@pytest.mark.parametrize("selection", ["first", "sample"])
def test_held_out_problems_are_the_next_ones_in_the_same_order(selection: Literal["first", "sample"]) -> None:
    def chosen(problems: int, held_out: int = 0) -> Data:
        return Data(
            train="embedded/multi_step", problems=problems, held_out=held_out, selection=selection, seed=5
        )

    training = load_problems(chosen(20, 7)).ids
    held_out = load_held_out(chosen(20, 7)).ids
    assert training == load_problems(chosen(20)).ids
    assert len(held_out) == 7
    assert sorted(training + held_out) == sorted(load_problems(chosen(27)).ids)


def test_too_few_problems_to_hold_any_out_say_how_many_there_are(tmp_path: Path) -> None:
    rows = [{"problem": "a", "solution": "b"}, {"problem": "c", "solution": "d"}]
    data = Data(train=str(write(tmp_path / "p.jsonl", *rows)), problems=1, held_out=3)
    message = r"has 2 problems, of which data.problems takes 1, and 3 more are asked for; set it to 1 or"
    with pytest.raises(DataError, match=message):
        load_held_out(data)
    # With every problem learnt from, another number of them alone may not be enough.
    data = Data(train=data.train, problems=2)
    message = r"has 0 problems with an answer left .* lower data.problems, and ask for as many as that leaves"
    with pytest.raises(DataError, match=message):
        check_validation_size(data, 3, [data], rows=2)


def test_a_held_out_problem_needs_a_solution(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", {"problem": "a"}, {"problem": "b", "answer": "1"})
    message = 'the held-out problem line-2 has no "solution", .*set data.held_out to 0'
    with pytest.raises(DataError, match=message):
        load_held_out(Data(train=str(path), problems=1, held_out=1))


@pytest.mark.parametrize(
    ("train", "size", "benchmark", "first"),
    [("gsm8k/train", 7473, "gsm8k", "Natalia sold clips"), ("math/train", 7500, "math", "")],
)
def test_public_training_sets_are_loaded_by_name(
    shared: Path, train: str, size: int, benchmark: str, first: str
) -> None:
    found = load_problems(Data(train=train, problems=size), str(shared / "data"))
    assert found.benchmark == benchmark
    assert found.ids[-1] == f"{benchmark}-train-{size - 1}"
    assert found.texts[0].startswith(first)
    assert all(found.solutions)
    unchecked = [one for one, answer in zip(found.ids, found.answers, strict=True) if answer is None]
    assert unchecked == ([] if benchmark == "gsm8k" else ["math-train-5529", "math-train-5531"])


def test_a_public_set_of_another_content_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "gsm8k_train.jsonl", {"id": "a", "problem": "p", "answer": "1", "solution": None})
    with pytest.raises(DataError, match=r"gsm8k_train\.jsonl: is not the gsm8k_train .* expected 7473 rows"):
        load_problems(Data(train="gsm8k/train", problems=1), str(tmp_path))


def test_a_gzipped_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress(b'{"problem": "1+1?"}\n'))
    assert load_problems(Data(train=str(tmp_path / "p.jsonl.gz"), problems=1)).texts == ["1+1?"]


def test_labels_are_hashed_apart_from_what_is_asked(tmp_path: Path) -> None:
    one = load_problems(
        Data(train=str(write(tmp_path / "1.jsonl", {"problem": "1+1?", "answer": "2"})), problems=1)
    )
    two = load_problems(
        Data(train=str(write(tmp_path / "2.jsonl", {"problem": "1+1?", "answer": "3"})), problems=1)
    )
    assert one.texts_hash == two.texts_hash
    assert one.answers_hash != two.answers_hash


def test_a_users_file_needs_only_problems(tmp_path: Path) -> None:
    found = load_problems(Data(train=str(write(tmp_path / "p.jsonl", {"problem": "1+1?"})), problems=1))
    assert (found.texts, found.answers, found.solutions) == (["1+1?"], [None], [None])


def test_line_separators_inside_a_problem_do_not_end_its_line(tmp_path: Path) -> None:
    text = "two\u2028lines\x1cand\x85more"
    found = load_problems(Data(train=str(write(tmp_path / "p.jsonl", {"problem": text})), problems=1))
    assert found.texts == [text]


def test_asking_for_more_than_there_are_says_how_many_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", {"problem": "a"}, {"problem": "b"})
    with pytest.raises(DataError, match=r"data.problems: .* has 2 problems, and 3 are asked for"):
        load(path, problems=3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{not json", r"p\.jsonl:2:2: is not valid JSON"),
        ({"question": "a"}, r'p\.jsonl:2: each line must be an object with a non-empty string "problem"'),
        ({"problem": "  "}, r"p\.jsonl:2: each line must be an object"),
        (["a"], r"p\.jsonl:2: each line must be an object"),
        ({"problem": "a", "answer": True}, r"p\.jsonl:2: `answer` has to be text or a number, found true"),
        ({"problem": "a", "solution": []}, r'p\.jsonl:2: "solution" must be a string'),
        ({"problem": "a", "id": True}, r'p\.jsonl:2: "id" must be a string or a whole number, found true'),
        ({"problem": "a", "id": None}, r'p\.jsonl:2: "id" must be a string or a whole number, found null'),
        ({"problem": "a", "id": 1.5}, r'p\.jsonl:2: "id" must be a string or a whole number, found 1\.5'),
        ({"problem": "a", "id": ""}, r'p\.jsonl:2: "id" must be a string'),
        ({"problem": "a", "id": "line-1"}, r"p\.jsonl:2: the id line-1 is that of line 1 already"),
        ('{"problem": "a", "answer": "\\udc00"}', r"p\.jsonl:2:29: holds half a character"),
        ('{"problem": "a", "solution": "\\udc00"}', r"p\.jsonl:2:31: holds half a character"),
        ('{"problem": "a", "id": "\\udc00"}', r"p\.jsonl:2:25: holds half a character"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, row: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(write(tmp_path / "p.jsonl", {"problem": "fine"}, row), problems=2)


def test_every_malformed_line_is_named_up_to_ten(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(write(tmp_path / "p.jsonl", *({"problem": "a", "id": n // 2} for n in range(26))))
    *told, last = str(caught.value).splitlines()
    assert told == [
        f"{tmp_path}/p.jsonl:{n}: the id {n // 2 - 1} is that of line {n - 1} already"
        for n in range(2, 22, 2)
    ]
    assert last == "and 3 more"


def test_an_answer_that_is_a_number_is_its_digits(tmp_path: Path) -> None:
    written = [
        "19",
        "-0.5",
        "2.50",
        "123456789012345678901",
        "0.12345678901234567890",
        "0.1000000000000000000",
    ]
    lines = (f'{{"problem": "a", "answer": {text}}}' for text in written)
    found = load_problems(Data(train=str(write(tmp_path / "p.jsonl", *lines)), problems=6))
    # 2.5 and 0.1 are what suites have always made of it: the same number.
    assert found.answers == ["19", "-0.5", "2.5", "123456789012345678901", "0.12345678901234567890", "0.1"]


def test_ids_that_cannot_be_ids_and_numbers_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'p\.jsonl:1: "id" must be a string or a whole number'):
        load(write(tmp_path / "p.jsonl", {"problem": "a", "id": [1]}))
    with pytest.raises(DataError, match=r"p\.jsonl:1: holds a number of too many digits"):
        load(write(tmp_path / "p.jsonl", '{"problem": "a", "x": ' + "1" * 5000 + "}"))


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"p\.jsonl: has no problems"):
        load(write(tmp_path / "p.jsonl"))


@pytest.mark.parametrize(("first", "second"), [("x", "x"), (1, "1"), ("1", 1), (-7, "-7")])
def test_a_repeated_id_is_named_however_it_is_written(tmp_path: Path, first: object, second: object) -> None:
    path = write(tmp_path / "p.jsonl", "", {"id": first, "problem": "a"}, {"id": second, "problem": "b"})
    with pytest.raises(DataError, match=rf"p\.jsonl:3: the id {second} is that of line 2 already"):
        load(path)


def test_cases_of_public_reports_come_out_as_their_readme_says(shared: Path) -> None:
    cases = shared / "cases"
    assert load(cases / "bom.jsonl", 4).texts[0] == "What is 2+3?"
    with pytest.raises(DataError, match=r"lone_surrogate\.jsonl:1:21: holds half a character"):
        load(cases / "lone_surrogate.jsonl", 4)
    with pytest.raises(
        DataError, match=r"same_id_number_and_text\.jsonl:2: the id 1 is that of line 1 already"
    ):
        load(cases / "same_id_number_and_text.jsonl", 4)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(b'{"problem": "a"}\n\xff\xfe')
    with pytest.raises(DataError, match=r"p\.jsonl:2:1: found the byte 0xFF"):
        load(tmp_path / "p.jsonl")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "p.jsonl")
