"""Mistakes in files of tasks, and in what a world is told of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mistake_cases import Case, Content, language

WORLD = """\
from peripatos.envs.conversation import TaskWorld

def same(reply, task):
    return reply.text.strip() == str(task["answer"])

def strict(reply, task):
    return reply.text.strip() == task["answer"].strip()

def tasks(path="tasks.jsonl", reward="maze:same", prompt=None):
    return TaskWorld(path, reward, prompt=prompt)

def maths(path="tasks.jsonl", answer="answer", answer_tag="boxed"):
    return TaskWorld(path, grader="maths", answer=answer, answer_tag=answer_tag)

def given():
    return TaskWorld(TASKS, same)
"""
ROWS = [{"prompt": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(40)]
OPTIONS = '{operators: ["+"], digits: 1, prompt: bare, answer_tag: answer}'


def _lines(*more: object, rows: Sequence[object] = ROWS, end: str = "\n") -> str:
    return end.join(row if isinstance(row, str) else json.dumps(row) for row in (*rows, *more)) + end


def _file(name: str, content: Content, *needs: str, options: str = "{}", world: str = "tasks", **rest: object) -> Case:
    """A file of tasks called tasks.jsonl."""
    files = {
        **language("peripatos/Arithmetic-v0", f"maze:{world}", OPTIONS, options),
        "maze.py": WORLD,
        "tasks.jsonl": content,
    }
    return Case(name, files, *needs, **rest)  # pyright: ignore[reportArgumentType]


def _line(name: str, line: object, *needs: str, options: str = "{}", world: str = "tasks", **rest: object) -> Case:
    """One line behind forty good ones."""
    return _file(name, _lines(line), *needs, options=options, world=world, **rest)


def _source(name: str, source: str, *needs: str, files: dict[str, Content] | None = None) -> Case:
    """Another file than tasks.jsonl."""
    case = _file(name, _lines(), *needs, options=f"{{path: {source!r}}}")
    return Case(name, {**case.files, **(files or {})}, *needs)


def _coding(name: str, options: str, *needs: str, **files: Content) -> Case:
    """A world of ours that reads a file."""
    scenario = language("peripatos/Arithmetic-v0", "peripatos/Coding-v0", OPTIONS, options)
    return Case(name, {**scenario, **{key.replace("_", "."): content for key, content in files.items()}}, *needs)


def _mathematics(name: str, options: str, *needs: str, content: Content = "") -> Case:
    scenario = language("peripatos/Arithmetic-v0", "peripatos/Mathematics-v0", OPTIONS, options)
    return Case(name, {**scenario, "tasks.jsonl": content}, *needs)


def _folder(path: Path) -> None:
    path.mkdir()


def _listed(name: str, tasks: str, *needs: str, **rest: object) -> Case:
    """Tasks in a list of Python's."""
    files = {**language("peripatos/Arithmetic-v0", "maze:given", OPTIONS, "{}"), "maze.py": f"TASKS = {tasks}\n{WORLD}"}
    return Case(name, files, *needs, **rest)  # pyright: ignore[reportArgumentType]


FILES = [
    _file("good", _lines()),
    _file("bom", "\ufeff" + _lines()),
    _file("windows-ends", _lines(end="\r\n")),
    _file("empty-lines", _lines(end="\n\n")),
    _file("old-mac-ends", _lines(end="\r"), r"tasks\.jsonl.*(line|\\r|carriage)"),
    _file("empty", "", r"tasks\.jsonl holds no rows.*one JSON object a line"),
    _file("spaces-only", " \n\t\n", r"tasks\.jsonl holds no rows"),
    _file("utf-16", _lines().encode("utf-16"), r"tasks\.jsonl.*UTF-16.*save it as UTF-8"),
    _file("utf-16-bare", _lines().encode("utf-16-le"), r"tasks\.jsonl.*UTF-16.*save it as UTF-8"),
    _file("utf-32", _lines().encode("utf-32"), r"tasks\.jsonl.*UTF-32.*save it as UTF-8"),
    _file("latin-1", (_lines() + '{"prompt": "größe"}').encode("latin-1"), r"tasks\.jsonl:41.*0xf6.*'ö'.*UTF-8"),
    _file("gzip", b"\x1f\x8b\x08\x00" + b"x" * 50, r"tasks\.jsonl.*gzip"),
    _file("zip", b"PK\x03\x04" + b"x" * 50, r"tasks\.jsonl.*zip"),
    _file("parquet-inside", b"PAR1" + b"\x15\x04" * 50, r"tasks\.jsonl.*parquet"),
    _file("nul", _lines().encode() + b"\0\0\0\0", r"tasks\.jsonl:41.*NUL|tasks\.jsonl:41.*\\x00|tasks\.jsonl:41.*JSON"),
    _file("html", "<!doctype html>\n<html>\n", r"tasks\.jsonl:1: this line is no JSON but looks like a page of HTML"),
    _file("git-lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n", r"tasks\.jsonl.*git lfs pull"),
    _file("one-array", json.dumps(ROWS), r"tasks\.jsonl:1: a row is a JSON object, not the list.*one object a line"),
    _file("one-array-indented", json.dumps(ROWS, indent=1), r"tasks\.jsonl:1.*one object a line"),
    _file("one-object-indented", json.dumps(ROWS[0], indent=1), r"tasks\.jsonl:1.*one object a line"),
    _file("csv-inside", "prompt,answer\nWhat is 1 + 1?,2\n", r"tasks\.jsonl:1: this line is no JSON but looks like a row of a table"),
    _file("yaml-inside", "- prompt: What is 1 + 1?\n  answer: 2\n", r"tasks\.jsonl:1: this line is no JSON but looks like YAML"),
    _file("folder", _folder, r"tasks\.jsonl.*is a folder"),
    _file("one-task", _lines(rows=ROWS[:1]), r"no (test|train) task|one task"),
    _file("huge-line", _lines({"prompt": "x " * 400_000, "answer": "1"}), r"tasks\.jsonl:41: a text of 800,000 characters", exits=(0,), argv="run s.yaml --dry-run"),
]  # fmt: skip

LINES = [
    _line("cut", '{"prompt": "x", "answ', r"tasks\.jsonl:41: this line is not JSON"),
    _line("single-quotes", "{'prompt': 'x'}", r"tasks\.jsonl:41.*double quotes"),
    _line("comma-behind", '{"prompt": "x", "answer": "1",}', r"tasks\.jsonl:41.*JSON.*column 3\d"),
    _line("comma-behind-line", '{"prompt": "x", "answer": "1"},', r"tasks\.jsonl:41.*JSON.*comma"),
    _line("two-on-a-line", '{"prompt": "x"}{"prompt": "y"}', r"tasks\.jsonl:41.*JSON.*one object a line"),
    _line("comment", "// more", r"tasks\.jsonl:41.*JSON.*comment"),
    _line("comment-hash", "# more", r"tasks\.jsonl:41.*JSON.*comment"),
    _line("curly-quotes", "{“prompt”: “x”}", r"tasks\.jsonl:41.*“.*straight"),
    _line("python-none", '{"prompt": "x", "answer": None}', r"tasks\.jsonl:41.*null"),
    _line("python-true", '{"prompt": "x", "answer": True}', r"tasks\.jsonl:41.*true"),
    _line("nan", '{"prompt": "x", "answer": NaN}', r"tasks\.jsonl:41: NaN is no number that JSON has"),
    _line("infinity", '{"prompt": "x", "answer": Infinity}', r"tasks\.jsonl:41: Infinity is no number"),
    _line("tab-in-text", '{"prompt": "a\tb", "answer": "1"}', r"tasks\.jsonl:41.*JSON.*(tab|control character)"),
    _line("backslash", '{"prompt": "\\frac{1}{2} \\sqrt 2", "answer": "1"}', r"tasks\.jsonl:41.*JSON.*\\\\"),
    _line("list", '["x", "1"]', r"tasks\.jsonl:41: a row is a JSON object, not the list"),
    _line("text", '"x"', r"tasks\.jsonl:41: a row is a JSON object, not '\"x\"'"),
    _line("number", "7", r"tasks\.jsonl:41: a row is a JSON object, not '7'"),
    _line("null", "null", r"tasks\.jsonl:41: a row is a JSON object, not 'null'"),
    _line("key-twice", '{"prompt": "x", "prompt": "y"}', r"tasks\.jsonl:41: the key 'prompt' stands twice"),
    _line("deep", "[" * 100_000, r"tasks\.jsonl:41: this line is nested too deeply"),
    _line("digits", '{"prompt": "x", "answer": ' + "9" * 5000 + "}", r"tasks\.jsonl:41: .*too many digits"),
    _line("empty-object", "{}", r"tasks\.jsonl:41 has no 'prompt', "),
    _line("key-missing", {"answer": "1"}, r"tasks\.jsonl:41 has no 'prompt', .*'answer'"),
    _line("key-typo", {"promt": "x", "answer": "1"}, r"tasks\.jsonl:41 has no 'prompt', .*Did you mean 'promt'\?"),
    _line("key-upper", {"Prompt": "x", "answer": "1"}, r"tasks\.jsonl:41 has no 'prompt', .*Did you mean 'Prompt'\?"),
    _line("key-question", {"question": "x", "answer": "1"}, r"tasks\.jsonl:41 has no 'prompt', .*'question'"),
    _line("prompt-null", {"prompt": None, "answer": "1"}, r"tasks\.jsonl:41: 'prompt' is null"),
    _line("prompt-number", {"prompt": 7, "answer": "1"}, r"tasks\.jsonl:41: 'prompt' is 7 \(a number\)"),
    _line("prompt-true", {"prompt": True, "answer": "1"}, r"tasks\.jsonl:41: 'prompt' is True \(true or false\)|'prompt' is true"),
    _line("prompt-empty", {"prompt": "", "answer": "1"}, r"tasks\.jsonl:41: 'prompt' is empty"),
    _line("prompt-messages", {"prompt": [{"role": "user", "content": "x"}], "answer": "1"}, exits=(0,), argv="run s.yaml --dry-run"),
    _line("prompt-role", {"prompt": [{"role": "usr", "content": "x"}], "answer": "1"}, r"tasks\.jsonl:41: 'prompt', message 0: unknown role 'usr'.*Did you mean 'user'\?"),
    _line("prompt-sharegpt", {"prompt": [{"from": "robot", "value": "x"}], "answer": "1"}, r"tasks\.jsonl:41: 'prompt', message 0: unknown role 'robot'.*ShareGPT"),
    _line("prompt-answered", {"prompt": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "answer": "1"}, r"tasks\.jsonl:41: 'prompt' ends with a message of the assistant"),
    _line("prompt-mapping", {"prompt": {"text": "x"}, "answer": "1"}, r"tasks\.jsonl:41: 'prompt' is .*\(a mapping\)"),
    _line("split-typo", {"prompt": "x", "answer": "1", "split": "trian"}, r"tasks\.jsonl:41: unknown split.*'train'\?"),
    _line("split-valid", {"prompt": "x", "answer": "1", "split": "valid"}, r"tasks\.jsonl:41: unknown split.*'validation'"),
    _line("split-upper", {"prompt": "x", "answer": "1", "split": "Test"}, r"tasks\.jsonl:41: unknown split.*'test'\?"),
    _line("split-number", {"prompt": "x", "answer": "1", "split": 1}, r"tasks\.jsonl:41: unknown split of a task '1'; allowed: test, train, validation"),
    _line("id-list", {"prompt": "x", "answer": "1", "id": [1]}, r"tasks\.jsonl:41: the id is \[1\]"),
    _line("id-float", {"prompt": "x", "answer": "1", "id": 1.5}, r"tasks\.jsonl:41: the id is 1\.5"),
    _line("id-true", {"prompt": "x", "answer": "1", "id": True}, r"tasks\.jsonl:41: the id is (T|t)rue"),
    _line("answer-null", {"prompt": "x", "answer": None}, r"tasks\.jsonl:41: 'answer' is null, and is text in 40 of 41 tasks", exits=(0,), argv="run s.yaml --dry-run"),
    _line("answer-number", {"prompt": "x", "answer": 7}, r"tasks\.jsonl:41: 'answer' is a number, and is text in 40 of 41 tasks", exits=(0,), argv="run s.yaml --dry-run"),
    _line("answer-missing", {"prompt": "x"}, r"tasks\.jsonl:41: 'answer' is missing, and is text in 40 of 41 tasks", exits=(0,), argv="run s.yaml --dry-run"),
    _line("graded-without", {"prompt": "x"}, r"tasks\.jsonl:41.*'answer'", world="maths"),
    _line("graded-null", {"prompt": "x", "answer": None}, r"tasks\.jsonl:41.*'answer'|tasks\.jsonl:41.*answer.*None", world="maths"),
    _line("graded-empty", {"prompt": "x", "answer": ""}, r"tasks\.jsonl:41.*answer", world="maths"),
    _line("graded-list", {"prompt": "x", "answer": [1]}, r"tasks\.jsonl:41.*answer", world="maths"),
    _file("ids-twice", _lines(rows=[{**row, "id": "a"} for row in ROWS]), r"tasks\.jsonl:2: the id 'a' is that of tasks\.jsonl:1 too"),
    _file("ids-text-and-number", _lines(rows=[{**row, "id": n if n else "1"} for n, row in enumerate(ROWS)]), r"tasks\.jsonl:2: the id 1 is that of tasks\.jsonl:1 too"),
    _file("prompts-equal", _lines(rows=[{**row, "prompt": "x"} for row in ROWS]), r"all 40 tasks have the same prompt, 'x'"),
    _file("column-of-ids", _lines(rows=[{"prompt": row["prompt"], "answr": "1"} for row in ROWS]), r"tasks\.jsonl:1.*'answer'.*'answr'\?", world="maths"),
    _file("split-all-test", _lines(rows=[{**row, "split": "test"} for row in ROWS]), r"no train task.*split"),
    _file("split-all-train", _lines(rows=[{**row, "split": "train"} for row in ROWS]), r"no test task.*split"),
    _file("split-same-prompts", _lines(rows=[*({**row, "split": "train"} for row in ROWS), *({**row, "split": "test"} for row in ROWS)]), r"no train task.*among those of.*test"),
]  # fmt: skip

SOURCES = [
    _source("missing", "task.jsonl", r"task\.jsonl.*no such file.*Did you mean 'tasks\.jsonl'\?"),
    _source("missing-deep", "data/tasks.jsonl", r"data/tasks\.jsonl.*no such (file|folder)"),
    _source("upper", "Tasks.JSONL", r"Tasks\.JSONL.*(ends in \.jsonl|'tasks\.jsonl')"),
    _source("json", "tasks.json", files={"tasks.json": json.dumps(ROWS)}),
    _source("json-columns", "tasks.json", r"tasks\.json has no list of objects.*orient=\"records\"", files={"tasks.json": json.dumps({"prompt": {"0": "x"}})}),
    _source("json-lists", "tasks.json", r"tasks\.json has several lists of objects, 'a', 'b'", files={"tasks.json": json.dumps({"a": ROWS, "b": ROWS})}),
    _source("json-cut", "tasks.json", r"tasks\.json:3: this is not JSON.*column 1", files={"tasks.json": json.dumps(ROWS[:1], indent=0)[:5]}),
    _source("json-empty", "tasks.json", r"tasks\.json holds no rows", files={"tasks.json": "[]"}),
    _source("json-key-twice", "tasks.json", r"tasks\.json: the key 'prompt' stands twice", files={"tasks.json": '[{"prompt": "x", "prompt": "y"}]'}),
    _source("csv-cells", "tasks.csv", r"tasks\.csv:3: this row has 3 cells, and the first line names 2 columns", files={"tasks.csv": "prompt,answer\nx,1\ny,2,3\n"}),
    _source("csv-column-twice", "tasks.csv", r"tasks\.csv:1: two columns are called 'prompt'", files={"tasks.csv": "prompt,prompt\nx,1\n"}),
    _source("csv-head-missing", "tasks.csv", r"tasks\.csv:2 has no 'prompt', the prompt; it has 'x', '1'", files={"tasks.csv": "x,1\ny,2\n"}),
    _source("csv-prompt-empty", "tasks.csv", r"tasks\.csv:3: 'prompt' is null", files={"tasks.csv": "prompt,answer\nx,1\n,2\n"}),
    _source("csv-quote", "tasks.csv", r"tasks\.csv:3: this row is no CSV", files={"tasks.csv": 'prompt,answer\nx,1\n"y,2\n'}),
    _source("csv-empty", "tasks.csv", r"tasks\.csv holds no rows", files={"tasks.csv": "prompt,answer\n"}),
    _source("tsv", "tasks.tsv", r"tasks\.tsv holds no rows", files={"tasks.tsv": "prompt\tanswer\n"}),
    _source("parquet", "tasks.parquet", r"tasks\.parquet.*(cannot|pip install)|cannot read .*tasks\.parquet", files={"tasks.parquet": b"PAR1"}),
    _source("txt", "tasks.txt", r"tasks\.txt'.*ends in one of \.jsonl", files={"tasks.txt": "x"}),
    _source("gz", "tasks.jsonl.gz", r"tasks\.jsonl\.gz.*gzip, and damaged", files={"tasks.jsonl.gz": b"\x1f\x8b"}),
    _source("split-name", "tasks.jsonl:trian", r"unknown split 'trian'"),
    _source("no-ending", "tasks", r"'tasks'.*Did you mean 'tasks\.jsonl'\?"),
    _source("source-folder", "data", r"data: it is a folder, and no file in it ends in \.jsonl", files={"data": _folder}),
    _source("hub", "openai/gsm8k", r"'openai/gsm8k'.*(pip install 'peripatos\[data\]'|from the hub)"),
    _source("hub-split", "openai/gsm8k:main:test", r"'openai/gsm8k:main:test'"),
    _source("url", "https://example.org/tasks.jsonl", r"https://example\.org/tasks\.jsonl.*(download|fetch|file)"),
    _source("empty-path", "", r"tasks.*(empty|'')"),
    _source("home", "~/no-such/tasks.jsonl", r"no-such/tasks\.jsonl.*no such (file|folder)"),
    _source("wildcard", "*.jsonl", r"\*\.jsonl.*no such file"),
    _file("prompt-key", _lines(), r"tasks\.jsonl:1 has no 'question', the prompt; it has 'prompt'", options="{prompt: question}"),
    _file("reward-typo", _lines(), r"'sam'\. Did you mean 'same'\?", options="{reward: 'maze:sam'}"),
    _file("reward-module", _lines(), r"no module 'rewards'", options="{reward: 'rewards:same'}"),
    _file("reward-no-colon", _lines(), r"'same'.*module:function", options="{reward: same}"),
    _file("reward-number", _lines(), r"reward.*7.*module:function", options="{reward: 7}"),
    _file("reward-signature", _lines(), r"the reward function 'maze:given' is called with \(reply, task\)", options="{reward: 'maze:given'}"),
    _file("answer-key", _lines(), r"tasks\.jsonl:1.*'solution'.*'answer'", options="{answer: solution}", world="maths"),
    _file("answer-tag", _lines(), r"'box'.*'boxed'", options="{answer_tag: box}", world="maths"),
]  # fmt: skip

LISTS = [
    _listed("list-empty", "[]", r"at least one task"),
    _listed("list-numbers", "[1, 2]", r"task 0: a task is a mapping or a string, not 1"),
    _listed("list-no-prompt", "[{'riddle': str(n)} for n in range(40)]", r"task 0 has no 'prompt', the prompt; it has 'riddle'"),
    _listed("list-none", "None", r"rows.*None"),
    _listed("list-number", "7", r"rows.*7"),
    _listed("list-mapping", "{'prompt': 'x'}", r"rows|list"),
    _listed("list-missing", "no_such_name", r"NameError: name 'no_such_name'"),
]  # fmt: skip

OURS = [
    _mathematics("maths-file-typo", "{tasks: task.jsonl}", r"task\.jsonl.*Did you mean 'tasks\.jsonl'\?"),
    _mathematics("maths-line", "{tasks: tasks.jsonl}", r"tasks\.jsonl:1", content='{"prompt": "x"}\n'),
    _coding("coding-file-typo", "{tasks: task.jsonl}", r"task\.jsonl.*Did you mean 'tasks\.jsonl'\?", tasks_jsonl="{}"),
    _coding("coding-line", "{tasks: tasks.jsonl}", r"tasks\.jsonl:1", tasks_jsonl='{"prompt": "x"}\n'),
    _coding("coding-not-json", "{tasks: tasks.jsonl}", r"tasks\.jsonl:1", tasks_jsonl="x\n"),
]  # fmt: skip

CASES = [*FILES, *LINES, *SOURCES, *LISTS, *OURS]
