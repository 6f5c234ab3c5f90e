#pragma once
#include <functional>
#include <string>
#include <vector>
#include "ir/graph.h"
namespace tenon {
struct PassOptions { std::vector<std::string> skip; };
struct PassReport { struct Entry { std::string name; size_t nodes_before, nodes_after; double seconds; }; std::vector<Entry> passes; };
Result<Graph> optimize(Graph g, const PassOptions& options, PassReport* report);
}
