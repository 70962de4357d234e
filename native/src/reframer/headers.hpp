// For those who read headers of many packets at once.
#pragma once

#include "reframer/stage.hpp"

namespace reframer::stage {

// Ethernet, two VLAN tags, IPv4 and TCP; IPv6 and ports without tags.
inline constexpr uint32_t header_bytes = 62;

[[gnu::always_inline]] inline void prefetch_header(const uint8_t *data)
{
	__builtin_prefetch(data);
	// Buffers are line-aligned in a mempool, records of a capture file are not.
	if ((reinterpret_cast<uintptr_t>(data) & 63) > 64 - header_bytes)
		__builtin_prefetch(data + header_bytes - 1);
}

// The kind of key and the presence of policies are constants in the loops over a burst.
template <typename Work> inline void Stage::specialised(Work work)
{
	using packet::KeyKind;
	switch (key_) {
	case KeyKind::five_tuple:
		return plain_ ? work.template operator()<KeyKind::five_tuple, true>()
		              : work.template operator()<KeyKind::five_tuple, false>();
	case KeyKind::symmetric:
		return plain_ ? work.template operator()<KeyKind::symmetric, true>()
		              : work.template operator()<KeyKind::symmetric, false>();
	case KeyKind::destination:
		return plain_ ? work.template operator()<KeyKind::destination, true>()
		              : work.template operator()<KeyKind::destination, false>();
	case KeyKind::inner:
		return plain_ ? work.template operator()<KeyKind::inner, true>()
		              : work.template operator()<KeyKind::inner, false>();
	}
}

} // namespace reframer::stage
