// The burst functions for every size of key and entry that there is.
#include "conntrack/shared/operations.hpp"

namespace reframer::conntrack::shared {

const Operations *find_operations(uint32_t key_size, uint32_t stride)
{
	struct Known {
		uint32_t key_size, stride;
		Operations operations;
	};
	static constexpr auto make = []<unsigned Key, unsigned Stride>() -> Known {
		using B = Burst<Key, Stride>;
		return {
			Key, Stride, {B::digest, B::find, B::find_or_insert, B::store, B::update, B::remove}};
	};
	static constexpr Known known[] = {
		make.operator()<16, 32>(), make.operator()<16, 64>(), make.operator()<16, 96>(),
		make.operator()<40, 64>(), make.operator()<40, 96>(), make.operator()<40, 128>(),
	};
	for (const Known &k : known)
		if (k.key_size == key_size && k.stride == stride)
			return &k.operations;
	return nullptr;
}

} // namespace reframer::conntrack::shared
