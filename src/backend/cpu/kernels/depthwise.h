// Depthwise convolution, and small groups, on channels-last data, vectorised over channels. conv() calls it;
// internal to this folder.
#pragma once

#include "backend/cpu/kernels/conv.h"

namespace tenon::cpu {

// Groups of as many outputs as inputs, several of which fill a vector.
bool depthwise_takes_groups(const ConvDesc& desc);
int64_t depthwise_packed_bytes(const ConvDesc& desc);
void depthwise_pack(const ConvDesc& desc, const float* weights,
                    float* packed);  // [C, C / groups, kh, kw]
int64_t depthwise_scratch_bytes(const ConvDesc& desc, int threads);
void depthwise(const ConvDesc& desc, const float* x, const float* packed, float* y, const Epilogue& epilogue,
               void* scratch, ThreadPool& pool);

}  // namespace tenon::cpu
