// The burst functions of each instruction set that this build has.
#pragma once

#include "conntrack/table.hpp"

namespace reframer::conntrack {

namespace isa_scalar {
const Operations *operations(uint32_t key_size);
}
namespace isa_avx2 {
const Operations *operations(uint32_t key_size);
}
namespace isa_avx512 {
const Operations *operations(uint32_t key_size);
}

} // namespace reframer::conntrack
