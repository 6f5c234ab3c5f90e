// Depthwise convolution on channels-last data, vectorised over channels. conv() calls it; internal to this
// folder.
#pragma once

#include "backend/cpu/kernels/conv.h"

namespace tenon::cpu {

int64_t depthwise_packed_bytes(const ConvDesc& desc);
void depthwise_pack(const ConvDesc& desc, const float* weights,
                    float* packed);  // [C, 1, kh, kw] to [kh, kw, C]
int64_t depthwise_scratch_bytes(const ConvDesc& desc, int threads);
void depthwise(const ConvDesc& desc, const float* x, const float* packed, float* y, const Epilogue& epilogue,
               void* scratch, ThreadPool& pool);

}  // namespace tenon::cpu
