"""Chat templates of well-known models, each with a tokenizer of characters that has the model's own control tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

FOLDER = Path(__file__).with_name("templates")
_CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_TAGS = ("<tool_call>", "</tool_call>", "<think>", "</think>", "<tool_response>", "</tool_response>")
_LLAMA = ("<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>")
_DEEPSEEK = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")
_DEEPSEEK_TAGS = [
    "<｜User｜>",
    "<｜Assistant｜>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁outputs▁begin｜>",
    "<｜tool▁output▁begin｜>",
    "<｜tool▁output▁end｜>",
    "<｜tool▁outputs▁end｜>",
    "<think>",
    "</think>",
]
_HARMONY = "<|startoftext|> <|endoftext|> <|return|> <|constrain|> <|channel|> <|start|> <|end|> <|message|> <|call|>"
_GEMMA4 = (
    "<bos> <eos> <|turn> <turn|> <|tool> <tool|> <|tool_call> <tool_call|> <|tool_response> <tool_response|> "
    '<|channel> <channel|> <|think|> <|"|>'
)
_MISTRAL = "<s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_CALLS] [TOOL_RESULTS] [/TOOL_RESULTS]"


@dataclass(frozen=True)
class Family:
    """What is true of a model's conversations."""

    file: str
    special: tuple[str, ...]
    eos: str  # as the tokenizer's own file says
    stop: str  # what ends a reply
    format: str | None  # of its calls; None: the template writes none
    rows: tuple[int, int] = (1, 1)  # of four turns with tools, and with a user, as few as the template allows
    tags: tuple[str, ...] = ()  # added tokens that are no special ones
    bos: str | None = None
    call_stop: str | None = None  # what ends calls, where that is something else
    thought: str = ""  # what its thoughts look like, before the words
    several: bool = True  # whether a reply may hold several calls
    tool_role: bool = True

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """A token for each character, and the family's own."""
        alphabet = [*map(chr, range(32, 127)), "\n", "｜", "▁"]
        vocabulary = {token: index for index, token in enumerate(("<unk>", *alphabet))}
        core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        core.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        core.decoder = decoders.Fuse()
        core.add_special_tokens([AddedToken(token, normalized=False) for token in self.special])
        core.add_tokens([AddedToken(token, normalized=False, special=False) for token in self.tags])
        return PreTrainedTokenizerFast(
            tokenizer_object=core,
            unk_token="<unk>",
            eos_token=self.eos,
            chat_template=(FOLDER / f"{self.file}.jinja").read_text(encoding="utf-8"),
            clean_up_tokenization_spaces=False,
            **({"bos_token": self.bos} if self.bos else {}),
        )


_QWEN = {"special": _CHATML, "tags": _TAGS, "eos": "<|im_end|>", "stop": "<|im_end|>"}
_R1 = {
    "special": _DEEPSEEK,
    "tags": tuple(_DEEPSEEK_TAGS),
    "eos": _DEEPSEEK[1],
    "stop": _DEEPSEEK[1],
    "bos": _DEEPSEEK[0],
}
_LINES = "<think>\n{}\n</think>\n\n"

FAMILIES: dict[str, Family] = {
    "Qwen2.5": Family("qwen2_5", format="hermes", **_QWEN),
    "Qwen2.5 base": Family("qwen2_5", format="hermes", **{**_QWEN, "eos": "<|endoftext|>"}),
    "Qwen3": Family("qwen3", format="hermes", rows=(1, 4), thought=_LINES, **_QWEN),
    "Qwen3-2507": Family("qwen3_instruct_2507", format="hermes", **_QWEN),
    "Qwen3.5": Family("qwen3_5", format="qwen3.5", rows=(1, 4), thought=_LINES, **_QWEN),
    "Llama 3": Family(
        "llama3",
        ("<|begin_of_text|>", *_LLAMA),
        eos="<|eot_id|>",
        stop="<|eot_id|>",
        bos="<|begin_of_text|>",
        format="llama3",
        several=False,
    ),
    "Mistral-Nemo": Family(
        "mistral_nemo", tuple(_MISTRAL.split()), eos="</s>", stop="</s>", bos="<s>", format="mistral"
    ),
    "Gemma 3": Family(
        "gemma3",
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        eos="<eos>",
        stop="<end_of_turn>",
        bos="<bos>",
        format=None,
        tool_role=False,
    ),
    "R1-distill": Family("deepseek_r1_distill", format=None, rows=(4, 4), thought=_LINES, **_R1),
    "gpt-oss": Family(
        "gptoss",
        tuple(_HARMONY.split()),
        eos="<|return|>",
        stop="<|return|>",
        call_stop="<|call|>",
        format="harmony",
        rows=(1, 4),
        thought="<|channel|>analysis<|message|>{}<|end|><|start|>assistant",
        several=False,
    ),
    "Phi-4": Family(
        "phi4", (*_CHATML, "<|im_sep|>"), eos="<|im_end|>", stop="<|im_end|>", format=None, tool_role=False
    ),
    "Phi-3": Family(
        "phi3",
        ("<s>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"),
        eos="<|endoftext|>",
        stop="<|end|>",
        bos="<s>",
        format=None,
        tool_role=False,
    ),
    "SmolLM3": Family("smollm3", format=None, thought=_LINES, **_QWEN),
    "GLM-4.5": Family(
        "glm4moe",
        ("<|endoftext|>", "[gMASK]", "<sop>", "<|user|>", "<|assistant|>", "<|observation|>", "<|system|>"),
        tags=(*_TAGS, "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"),
        eos="<|endoftext|>",
        stop="<|user|>",
        call_stop="<|observation|>",
        format="glm",
        rows=(1, 4),
        thought="\n<think>{}</think>\n",
    ),
    "LFM2.5": Family(
        "lfm2_5",
        (*_CHATML, "<|startoftext|>", "<|tool_call_start|>", "<|tool_call_end|>"),
        tags=("<think>", "</think>"),
        eos="<|im_end|>",
        stop="<|im_end|>",
        bos="<|startoftext|>",
        format="lfm",
        rows=(1, 4),
        thought="<think>{}</think>",
    ),
    "DeepSeek-V3": Family("deepseekv3", format="deepseek", rows=(4, 4), thought=_LINES, **_R1),
    "Gemma 4": Family(
        "gemma4",
        tuple(_GEMMA4.split()),
        eos="<eos>",
        stop="<turn|>",
        call_stop="<|tool_response>",
        bos="<bos>",
        format="gemma",
        rows=(1, 4),
        thought="<|channel>thought\n{}\n<channel|>",
    ),
}
