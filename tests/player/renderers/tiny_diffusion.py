"""Stable Diffusion, ControlNet and a tiny autoencoder with random weights and a few words: in a second, unasked."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    ControlNetModel,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

SIDE = 64
BLOCKS = {
    "block_out_channels": (8, 16), "layers_per_block": 1, "cross_attention_dim": 16, "norm_num_groups": 4,
    "attention_head_dim": 4, "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
}  # fmt: skip


def words(folder: Path) -> CLIPTokenizer:
    """A tokenizer that knows single letters."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = [*"abcdefghijklmnopqrstuvwxyz", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz")]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=12)


def save(folder: Path) -> Path:
    """FOLDER/model, FOLDER/edges, FOLDER/fast."""
    torch.manual_seed(3)
    tokenizer = words(folder / "words")
    ends = {"bos_token_id": len(tokenizer) - 2, "eos_token_id": len(tokenizer) - 1, "pad_token_id": len(tokenizer) - 1}
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=12, **ends,
    )  # fmt: skip
    ups = ("CrossAttnUpBlock2D", "UpBlock2D")
    unet = UNet2DConditionModel(sample_size=SIDE // 2, in_channels=4, out_channels=4, up_block_types=ups, **BLOCKS)
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = AutoencoderKL(block_out_channels=(4, 8), norm_num_groups=4, sample_size=SIDE, **kinds)
    StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), tokenizer=tokenizer, unet=unet,
        scheduler=EulerDiscreteScheduler(steps_offset=1),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder / "model")  # fmt: skip
    edges = ControlNetModel(in_channels=4, conditioning_embedding_out_channels=(4, 8), **BLOCKS)
    for parameter in edges.parameters():  # what it adds is nothing at first
        torch.nn.init.normal_(parameter, std=0.3)
    edges.save_pretrained(folder / "edges")
    small = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    blocks = {"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1)}
    AutoencoderTiny(**small, **blocks).save_pretrained(folder / "fast")
    return folder
