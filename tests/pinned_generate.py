"""Load an exported folder and reply with whatever transformers this interpreter has.

python pinned_generate.py FOLDER PICTURE PROMPT TOKENS prints one JSON object: the version, ids of
the prompt, the reply, and a conversation as the folder's chat template writes it.
"""

import json
import sys

import torch
import transformers
from PIL import Image


def main(folder: str, picture: str, prompt: str, tokens: str) -> None:
    model = transformers.LlavaForConditionalGeneration.from_pretrained(folder).eval()
    processor = transformers.AutoProcessor.from_pretrained(folder)
    inputs = processor(images=[Image.open(picture)], text=prompt, return_tensors="pt")
    with torch.no_grad():
        replied = model.generate(**inputs, max_new_tokens=int(tokens), do_sample=False)
    content = [{"type": "image"}, {"type": "text", "text": "Who is it?"}]
    found = {
        "version": transformers.__version__,
        "inputs": sorted(inputs),
        "prompt": inputs["input_ids"][0].tolist(),
        "reply": replied[0, inputs["input_ids"].shape[1] :].tolist(),
        "conversation": processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        ),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
