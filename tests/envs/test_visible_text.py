"""Text of strangers on a terminal."""

import io
import json

import pytest
from rich.console import Console

from peripatos.envs.visible_text import json_visible, visible, without_controls
from peripatos.scenarios.commands.app import print_json, print_table

HOSTILE = "".join(map(chr, [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E, 0x2066, 0x2028])) + "\ud800"


def test_what_a_terminal_obeys_is_spelled_out():
    for text in (visible(HOSTILE), without_controls(HOSTILE), json_visible(json.dumps(HOSTILE, ensure_ascii=False))):
        assert text.isprintable()
    assert visible("a\n\tb é") == without_controls("a\r\n\tb é") == "a\n\tb é"
    assert without_controls("👩\u200d💻") == "👩\u200d💻"


@pytest.mark.parametrize("value", [HOSTILE, {"a\x9b": [HOSTILE, 1.5, "é\n"]}])
def test_json_for_a_terminal_is_read_back_the_same(value, capsys):
    print_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert out.replace("\n", "").isprintable()


def test_a_table_has_no_control_characters(capsys):
    print_table([{"check": HOSTILE, "detail": f"a {HOSTILE} b"}])
    assert capsys.readouterr().out.replace("\n", "").isprintable()


def test_titles_of_a_transcript_have_none_either():
    from peripatos.envs.vocabulary import Episode
    from peripatos.scenarios.report.terminal import print_transcript
    from peripatos.scenarios.report.transcript import Line, Transcript

    episode = Episode(
        0, 0, 0, 0, split=HOSTILE, reward=1.0, reward_terms={HOSTILE: 1.0}, task=HOSTILE, unanswered=HOSTILE
    )
    line = Line(role=HOSTILE, text=HOSTILE, name=HOSTILE)
    fields = {
        "episode": episode,
        "lines": (line,),
        "basis": HOSTILE,
        "measure": "logp",
        "update": 0,
        "place": 0,
        "kept": 1,
    }
    known = {name: fields[name] for name in Transcript.__dataclass_fields__ if name in fields}
    out = io.StringIO()
    print_transcript(Transcript(**known), Console(file=out, width=100, no_color=True))
    assert out.getvalue().replace("\n", "").isprintable()
