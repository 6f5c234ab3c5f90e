"""PyTorch on a GPU, for bench/gpu.py: the networks of the zoo with random weights, the best of eager, channels-last and a
replayed CUDA graph, timed with CUDA events on resident random data.

    python3 bench/gpu_peer.py resnet50:1 resnet50:128 bert_base:1 …      prints one JSON object a line
"""
import json
import statistics
import sys

import torch


def network(name):
    """(module, batch -> inputs), as exported into the zoo."""
    import torchvision.models as vision

    def image(side):
        return lambda n: (torch.randn(n, 3, side, side, device="cuda", dtype=torch.float16),)

    def tokens(vocabulary, length=128):
        return lambda n: (torch.randint(0, vocabulary, (n, length), device="cuda"),
                          torch.ones(n, length, device="cuda", dtype=torch.long))

    classifiers = ("resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "vit_b_16", "swin_t",
                   "convnext_tiny")
    if name in classifiers:
        return getattr(vision, name)(weights=None), image(224)
    if name == "lraspp_mobilenet_v3":
        return vision.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None), image(320)
    import transformers as t
    if name == "bert_base":
        return t.BertModel(t.BertConfig()), tokens(30522)
    if name == "distilbert_cls":
        return t.DistilBertForSequenceClassification(t.DistilBertConfig()), tokens(30522)
    if name == "gpt2":
        return t.GPT2LMHeadModel(t.GPT2Config(use_cache=False)), tokens(50257)
    if name == "t5_small_encoder":
        return t.T5EncoderModel(t.T5Config(d_model=512, d_ff=2048, num_layers=6, num_heads=8)), tokens(32128)
    if name == "llama_160m":
        return t.LlamaForCausalLM(t.LlamaConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                                                num_attention_heads=12, use_cache=False)), tokens(32000)
    if name == "whisper_tiny_encoder":
        config = t.WhisperConfig(d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536)
        return t.WhisperModel(config).encoder, lambda n: (torch.randn(n, 80, 3000, device="cuda", dtype=torch.float16),)
    if name == "segformer_b0":
        return t.SegformerForSemanticSegmentation(t.SegformerConfig(num_labels=150)), image(512)
    raise KeyError(f"no PyTorch twin of {name}")


def median_ms(run, seconds=0.4):
    """Median milliseconds of `run` by CUDA events, over about `seconds`."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record(), run(), end.record()
    torch.cuda.synchronize()
    once = max(begin.elapsed_time(end), 1e-3)
    group = max(1, int(2 / once))
    times = []
    for _ in range(max(5, min(50, int(seconds * 1e3 / (once * group))))):
        begin.record()
        for _ in range(group):
            run()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / group)
    return statistics.median(times)


def graphed(run):
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def measure(name, batch):
    module, make = network(name)
    module = module.half().cuda().eval()
    inputs = make(batch)
    out = {"model": name, "batch": batch, "ms": {}}
    with torch.inference_mode():
        forms = {"eager": (module, inputs)}
        if inputs[0].dim() == 4:
            forms["channels_last"] = (module.to(memory_format=torch.channels_last),
                                      tuple(x.to(memory_format=torch.channels_last) for x in inputs))
        for form, (m, x) in forms.items():
            run = lambda m=m, x=x: m(*x)
            out["ms"][form] = median_ms(run)
            try:
                out["ms"][form + "+graph"] = median_ms(graphed(run))
            except RuntimeError as e:
                out.setdefault("notes", []).append(f"{form}: no graph: {str(e).splitlines()[0][:120]}")
    out["best_ms"] = min(out["ms"].values())
    out["memory_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return out


def gemm(n, dtype=torch.bfloat16):
    a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
    ms = median_ms(lambda: a @ b)
    return {"gemm": n, "ms": ms, "tflops": 2 * n**3 / ms / 1e9}


if __name__ == "__main__":
    for task in sys.argv[1:]:
        name, number = task.split(":")
        torch.cuda.reset_peak_memory_stats()
        try:
            found = gemm(int(number)) if name == "gemm" else measure(name, int(number))
        except Exception as e:  # one network that this PyTorch cannot make must not lose the others
            found = {"model": name, "batch": int(number), "error": f"{type(e).__name__}: {str(e)[:200]}"}
        print(json.dumps(found), flush=True)
        torch.cuda.empty_cache()
