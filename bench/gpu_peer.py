"""PyTorch on a GPU, for bench/gpu.py: the networks of the zoo with random weights, the best of eager, channels-last and a
replayed CUDA graph, timed with CUDA events on resident random data.

    python3 bench/gpu_peer.py resnet50:1 resnet50:128 bert_base:1 …      prints one JSON object a line
"""
import contextlib
import json
import multiprocessing
import statistics
import sys

import torch


def network(name):
    """(module, batch -> inputs by name, the first under ""), as exported into the zoo."""
    import torchvision.models as vision

    def image(side):
        return lambda n: {"": torch.randn(n, 3, side, side, device="cuda", dtype=torch.float16)}

    def tokens(vocabulary, length=128):
        return lambda n: {"input_ids": torch.randint(0, vocabulary, (n, length), device="cuda"),
                          "attention_mask": torch.ones(n, length, device="cuda", dtype=torch.long)}

    classifiers = ("resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "vit_b_16", "swin_t",
                   "convnext_tiny")
    if name in classifiers:
        return getattr(vision, name)(weights=None), image(224)
    if name == "lraspp_mobilenet_v3":
        return vision.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None), image(320)
    if name == "ssdlite320":
        whole = vision.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
        return whole, lambda n: {"": list(torch.rand(n, 3, 320, 320, device="cuda", dtype=torch.float16))}
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
        features = lambda n: {"": torch.randn(n, 80, 3000, device="cuda", dtype=torch.float16)}
        return t.WhisperModel(config).encoder, features
    if name == "segformer_b0":
        return t.SegformerForSemanticSegmentation(t.SegformerConfig(num_labels=150)), image(512)
    raise KeyError(f"no PyTorch twin of {name}")


def median_ms(run, seconds=0.3):
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


def as_type(tensors, dtype):
    """Tensors in lists and dicts, the floats among them in that type."""
    if torch.is_tensor(tensors):
        return tensors.to(dtype) if tensors.is_floating_point() else tensors
    if isinstance(tensors, dict):
        return {k: as_type(x, dtype) for k, x in tensors.items()}
    return [as_type(x, dtype) for x in tensors] if isinstance(tensors, (list, tuple)) else tensors


def peak_mib(run):
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() / 2**20


def measure(name, module, make, batch):
    """Times and memory of each form; memory is the most that tensors took, weights included, the driver's own left out.
    `same_types_mib` is eager mode's with float32 inputs and results, as the exported graph has them, around a network in
    fp16, and `float32_mib` that of a network in float32."""
    module = module.cuda().half().eval()
    inputs = make(batch)
    out = {"model": name, "batch": batch, "ms": {}, "memory_mib": {}}

    def add(form, run):
        torch.cuda.reset_peak_memory_stats()
        out["ms"][form] = median_ms(run)
        out["memory_mib"][form] = torch.cuda.max_memory_allocated() / 2**20

    call = lambda given: module(*(x for k, x in given.items() if not k), **{k: x for k, x in given.items() if k})
    with torch.inference_mode():
        forms = ["eager"]
        if any(torch.is_tensor(x) and x.dim() == 4 for x in inputs.values()):
            forms.append("channels_last")
        for form in forms:
            if form == "channels_last":
                module = module.to(memory_format=torch.channels_last)
                inputs = {k: x.to(memory_format=torch.channels_last) for k, x in inputs.items()}
            run = lambda: call(inputs)
            add(form, run)
            if form == "eager":
                wide, inputs = as_type(inputs, torch.float32), None
                out["same_types_mib"] = peak_mib(lambda: as_type(call(as_type(wide, torch.float16)), torch.float32))
                module = module.float()
                with contextlib.suppress(RuntimeError):
                    out["float32_mib"] = peak_mib(lambda: call(wide))
                module, inputs, wide = module.half(), as_type(wide, torch.float16), None
            try:
                add(form + "+graph", graphed(run))
            except RuntimeError as e:
                out.setdefault("notes", []).append(f"{form}: no graph: {str(e).splitlines()[0][:120]}")
    out["best_ms"] = min(out["ms"].values())
    return out


def gemm(n, dtype=torch.bfloat16):
    a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
    ms = median_ms(lambda: a @ b)
    return {"gemm": n, "ms": ms, "tflops": 2 * n**3 / ms / 1e9}


def say(name, number, work):
    try:
        found = work()
    except Exception as e:  # one network that this PyTorch cannot make must not lose the others
        found = {"model": name, "batch": number, "error": f"{type(e).__name__}: {str(e)[:200]}"}
    print(json.dumps(found), flush=True)


def serve(name, numbers, ready, turn, processes):
    """One network's process: makes it on the host while the others make theirs, then measures when it is its turn, each batch
    in a process of its own: what one leaves on the GPU would count as the next one's."""
    torch.set_num_threads(1)  # a pool of threads would not outlive the fork below
    made = None
    if name != "gemm":
        try:
            made = network(name)
        except Exception as e:
            made = e
    ready.release()
    turn.acquire()
    for number in numbers:
        def work():
            if isinstance(made, Exception):
                raise made
            return gemm(number) if made is None else measure(name, *made, number)
        child = processes.Process(target=say, args=(name, number, work))
        child.start()
        child.join()


def main():
    import torchvision.models  # noqa: F401 before forking, so that it is loaded once
    processes = multiprocessing.get_context("fork")
    batches = {}
    for name, number in (t.split(":") for t in sys.argv[1:]):
        batches.setdefault(name, []).append(int(number))
    ready, children = processes.Semaphore(0), []
    for name, numbers in batches.items():
        turn = processes.Semaphore(0)
        child = processes.Process(target=serve, args=(name, numbers, ready, turn, processes))
        child.start()
        children.append((child, turn))
    for _ in children:
        ready.acquire()
    for child, turn in children:
        turn.release()
        child.join()


if __name__ == "__main__":
    main()
