// The burst functions for one instruction set: compiled once for each, see meson.build.
#include "conntrack/burst.hpp"
#include "conntrack/kernels.hpp"

namespace reframer::conntrack {

inline namespace REFRAMER_ISA {

const Operations *operations(uint32_t key_size)
{
	static constexpr auto make = []<unsigned Key>() -> Operations {
		using B = Burst<Key>;
		return {B::digest, B::find, B::find_or_insert, B::remove, B::token_digest, B::look_again};
	};
	static constexpr Operations ipv4 = make.operator()<16>(), ipv6 = make.operator()<40>();
	return key_size == 16 ? &ipv4 : &ipv6;
}

} // namespace REFRAMER_ISA

} // namespace reframer::conntrack
