"""Models of the classes of codec.extract.foundation, with random weights and a few words: in milliseconds, unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

SPECIAL = ("<pad>", "<unk>", "<s>", "</s>", "<image>")
WORDS = ("a", "dog", "cat", "runs", "sits", "on", "the", "grass", "red", "boat", "What", "does", "image", "describe?")
ASKED = {"post_processor_config": {"pure_text": {}, "description_with_bboxes": {}}}  # as in the true Florence-2
SIDE = 32  # pixels
TEXT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
ENDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}


def tokenizer(places: int = 0) -> Any:
    """Whole words, and `places` tokens <loc_N>."""
    tokens = [*SPECIAL, *(f"▁{word}" for word in WORDS), *(f"<loc_{n}>" for n in range(places))]
    made = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.add_tokens([f"<loc_{n}>" for n in range(places)])
    named = dict(zip(("pad_token", "unk_token", "bos_token", "eos_token"), SPECIAL, strict=False))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, **named, extra_special_tokens={"image_token": "<image>"}
    )


def save(folder: Path, processor: Any, network: Any) -> Path:
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def images(kind: Any, **more: Any) -> Any:
    return kind(size={"height": SIDE, "width": SIDE}, do_center_crop=False, **more)


def blip(folder: Path) -> Path:
    torch.manual_seed(1)
    words = tokenizer()
    text = TEXT | ENDS | {"vocab_size": len(words), "encoder_hidden_size": 16, "sep_token_id": 3}
    config = transformers.BlipConfig(text_config=text, vision_config=TEXT | {"image_size": SIDE, "patch_size": 8})
    processor = transformers.BlipProcessor(images(BlipImageProcessorPil), words)
    return save(folder, processor, transformers.BlipForConditionalGeneration(config))


def blip2(folder: Path) -> Path:
    torch.manual_seed(1)
    words = tokenizer()
    opt = {
        "hidden_size": 16,
        "ffn_dim": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "word_embed_proj_dim": 16,
    }
    config = transformers.Blip2Config(
        vision_config=TEXT | {"image_size": SIDE, "patch_size": 8},
        qformer_config=TEXT | {"vocab_size": len(words), "encoder_hidden_size": 16},
        text_config=opt | ENDS | {"model_type": "opt", "vocab_size": len(words)},
        num_query_tokens=4,
        image_token_index=4,
    )
    processor = transformers.Blip2Processor(images(BlipImageProcessorPil), words, num_query_tokens=4)
    return save(folder, processor, transformers.Blip2ForConditionalGeneration(config))


def florence2(folder: Path) -> Path:
    torch.manual_seed(1)
    words = tokenizer(places=1000)
    bart = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    bart |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 600}
    vision = {
        "depths": [1, 1, 1, 1],
        "embed_dim": [8, 8, 16, 16],
        "num_heads": [1, 1, 2, 2],
        "num_groups": [1, 1, 2, 2],
    }
    config = transformers.Florence2Config(
        text_config=bart | ENDS | {"model_type": "bart", "vocab_size": len(words), "decoder_start_token_id": 3},
        vision_config=vision | {"projection_dim": 16, "window_size": 4},
        image_token_id=4,
    )
    seen = images(CLIPImageProcessorPil, image_seq_length=(SIDE // 32) ** 2 + 1)  # cells of the last stage, their mean
    processor = transformers.Florence2Processor(seen, words, **ASKED)
    return save(folder, processor, transformers.Florence2ForConditionalGeneration(config))
