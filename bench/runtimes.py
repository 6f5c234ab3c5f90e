"""One runtime with one model in a process of its own, pinned to a few cores.

The bench asks such processes in turn, so that their runs are interleaved in time but share no thread pool, no
allocator and no library: `Worker(...).measure()` returns the times of a few runs, `.memory()` what the process took.
"""
import multiprocessing
import os
import time
import traceback


def _tenon(path, threads, feeds):
    import tenon.onnxruntime as runtime
    return _session(runtime, path, threads)


def _onnxruntime(path, threads, feeds):
    import onnxruntime as runtime
    return _session(runtime, path, threads)


def _session(runtime, path, threads):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, feeds)


def _openvino(path, threads, feeds):
    import openvino

    core = openvino.Core()
    model = core.read_model(str(path))
    # Fixed shapes are what OpenVINO is fastest with.
    model.reshape({name: openvino.PartialShape(list(array.shape)) for name, array in feeds.items()})
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32"})  # its default is bfloat16 on some CPUs
    request = compiled.create_infer_request()

    def run(feeds):
        found = request.infer(feeds)
        return [found[output] for output in compiled.outputs]

    return run


OPENERS = {"tenon": _tenon, "onnxruntime": _onnxruntime, "openvino": _openvino}


def _peak_mib():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def _serve(pipe, runtime, path, threads, cores):
    os.sched_setaffinity(0, cores)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        feeds = pipe.recv()
        module = {"tenon": "tenon.onnxruntime"}.get(runtime, runtime)
        __import__(module)
        before = _peak_mib()
        begin = time.perf_counter()
        run = OPENERS[runtime](path, threads, feeds)
        opened = time.perf_counter() - begin
        outputs = run(feeds)
        pipe.send((opened, outputs))
        while (runs := pipe.recv()) is not None:
            if runs == "memory":
                pipe.send(_peak_mib() - before)
                continue
            times = []
            for _ in range(runs):
                begin = time.perf_counter()
                run(feeds)
                times.append(time.perf_counter() - begin)
            pipe.send(times)
    except Exception:
        pipe.send(traceback.format_exc(limit=-3))


class Failure(Exception):
    """The runtime could not run the model; the text says why."""


class Worker:
    def __init__(self, runtime, path, threads, feeds, cores):
        self.runtime = runtime
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(theirs, runtime, str(path), threads, cores), daemon=True)
        self.process.start()
        theirs.close()
        try:
            # Not among the arguments: start() would wait for ever on a child that died before it read them.
            self.pipe.send(feeds)
            self.open_s, self.outputs = self._answer()
        except OSError:
            self.close()
            raise Failure(f"{runtime} died at once, exit code {self.process.exitcode}") from None
        except Failure:
            self.close()
            raise

    def _answer(self):
        try:
            answer = self.pipe.recv()
        except EOFError:
            self.process.join()
            raise Failure(f"{self.runtime} died, exit code {self.process.exitcode}") from None
        if isinstance(answer, str):
            raise Failure(f"{self.runtime}: {answer.strip().splitlines()[-1]}")
        return answer

    def measure(self, runs):
        """Seconds of each of `runs` runs."""
        self.pipe.send(runs)
        return self._answer()

    def memory(self):
        """MiB that opening the model and running it added to the process's peak."""
        self.pipe.send("memory")
        return self._answer()

    def close(self):
        try:
            self.pipe.send(None)
        except OSError:
            pass
        self.process.join(5)
        if self.process.is_alive():
            self.process.terminate()
        self.pipe.close()
