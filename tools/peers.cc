#include "peers.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/mapped_file.h"
#include "json.h"
#include "npy.h"

namespace tenon::cli {

const std::vector<std::string>& peer_names() {
  static const std::vector<std::string> names{"onnxruntime", "openvino", "torch"};
  return names;
}

namespace {

// A folder for the exchange, removed at the end.
class Folder {
 public:
  Folder() {
    const char* base = std::getenv("TMPDIR");
    path_ = cat(base && *base ? base : "/tmp", "/tenon-peer-XXXXXX");
    if (!mkdtemp(path_.data())) path_.clear();
  }
  ~Folder() {
    if (path_.empty()) return;
    if (DIR* d = opendir(path_.c_str())) {
      while (dirent* e = readdir(d)) unlink(cat(path_, "/", e->d_name).c_str());
      closedir(d);
    }
    rmdir(path_.c_str());
  }
  Folder(const Folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The root of the source tree that the program was built in; "" elsewhere.
std::string source_root() {
  char buffer[4096];
  const ssize_t n = readlink("/proc/self/exe", buffer, sizeof buffer);
  std::string path(buffer, n > 0 ? size_t(n) : 0);
  for (int up = 0; up < 4; ++up) path = path.substr(0, std::min(path.rfind('/'), path.size()));  // ROOT/build/PRESET/bin/tenon
  return access((path + "/bench/peer.py").c_str(), R_OK) == 0 ? path : "";
}

std::string python(const std::string& root) {
  if (const char* chosen = std::getenv("TENON_PYTHON"); chosen && *chosen) return chosen;
  const std::string own = root + "/.venv/bin/python";
  return access(own.c_str(), X_OK) == 0 ? own : "python3";
}

// Runs a program with its output in a file; returns its exit code.
Result<int> run_process(const std::vector<std::string>& arguments, const std::string& log) {
  const pid_t child = fork();
  if (child < 0) return make_status(Code::internal, "cannot start a process");
  if (child == 0) {
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0) {
      dup2(fd, 1);
      dup2(fd, 2);
    }
    std::vector<char*> argv;
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  int state = 0;
  while (waitpid(child, &state, 0) < 0 && errno == EINTR)
    if (interrupted()) kill(child, SIGTERM);
  return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

std::string last_line(const std::string& path) {
  auto file = MappedFile::open(path);
  if (!file.ok()) return "";
  std::string_view text = trim({reinterpret_cast<const char*>((*file)->bytes().data()), (*file)->bytes().size()});
  return escape(text.substr(std::min(text.size(), text.rfind('\n') + 1)));
}

}  // namespace

Result<PeerAnswer> ask_peer(const PeerRequest& r) {
  const std::string root = source_root();
  if (root.empty()) return Status(Code::unavailable, cat(r.name, " cannot be asked: bench/peer.py is not beside this program"), "run the program from its source tree's build folder");
  HoldInterrupt hold;
  const Folder folder;
  if (folder.path().empty()) return make_status(Code::io, "cannot make a temporary folder");
  ordered_json request = {{"runtime", r.name}, {"model", r.model}, {"threads", r.threads}, {"duration", r.duration}, {"warmup", r.warmup}};
  request["inputs"] = ordered_json::object();
  request["outputs"] = r.output_names;
  for (size_t i = 0; i < r.inputs.size(); ++i) {
    const DType type = r.inputs[i].dtype();
    if (!npy_holds(type) && type != DType::bf16)  // which is widened, and converted to the model's type there
      return make_status(Code::unsupported, r.name, " cannot be given ", name(type), " from here");
    const std::string file = cat("in_", i, ".npy");
    const std::vector<uint8_t> bytes = TRY(format_npy(r.inputs[i]));
    TRY(save_file(cat(folder.path(), "/", file), std::span<const uint8_t>(bytes)));
    request["inputs"][r.input_names[i]] = file;
  }
  TRY(save_file(folder.path() + "/request.json", json_text(request)));
  const std::string log = folder.path() + "/log";
  const int code = TRY(run_process({python(root), root + "/bench/peer.py", folder.path()}, log));
  if (code != 0)
    return Status(Code::unavailable, cat(r.name, " did not answer: ", code == 127 ? cat(python(root), " cannot be started") : last_line(log)),
                  code == 127 ? "./scripts/setup, or set TENON_PYTHON" : "");
  auto file = TRY(MappedFile::open(folder.path() + "/answer.json"));
  const auto j = ordered_json::parse(file->bytes().begin(), file->bytes().end(), nullptr, false);
  if (!j.is_object() || !j.contains("outputs")) return internal_error(r.name, " gave no answer");
  PeerAnswer out;
  out.version = j.value("version", "");
  out.memory_mib = j.value("memory_mib", 0.0);
  out.seconds = j["seconds"].get<std::vector<double>>();
  for (const auto& output : j["outputs"]) out.outputs.push_back(TRY(read_npy(cat(folder.path(), "/", output.get<std::string>()))));
  return out;
}

}  // namespace tenon::cli
