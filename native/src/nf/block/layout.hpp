// The flow block: what all functions of a chain know of a flow, in one entry of the flow table, each
// function's slice at an offset that the compiler knows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

namespace reframer::nf::block {

// Slices in the order of the functions, so that the first ones share the first line.
template <typename... State> struct Layout {
	static_assert(sizeof...(State) > 0);
	static_assert((std::is_trivially_copyable_v<State> && ...)); // the table moves and zeroes them
	static_assert(((alignof(State) <= 8) && ...));

	static constexpr size_t count = sizeof...(State);
	static constexpr std::array<size_t, count> sizes = {sizeof(State)...};
	static constexpr std::array<size_t, count + 1> offsets = [] {
		constexpr std::array<size_t, count> alignments = {alignof(State)...};
		std::array<size_t, count + 1> at = {};
		for (size_t i = 0; i < count; i++) {
			at[i] = (at[i] + alignments[i] - 1) / alignments[i] * alignments[i];
			at[i + 1] = at[i] + sizes[i];
		}
		return at;
	}();
	static constexpr size_t bytes = offsets[count];
	// What a table is asked for: a word lies in the table's own line, anything else in lines of
	// its own, none of them shared with another flow.
	static constexpr uint32_t table_bytes =
		static_cast<uint32_t>(bytes <= 8 ? 8 : (bytes + 63) / 64 * 64);

	template <size_t index> using At = std::tuple_element_t<index, std::tuple<State...>>;
	template <size_t index> static At<index> &slice(void *block)
	{
		return *reinterpret_cast<At<index> *>(static_cast<uint8_t *>(block) + offsets[index]);
	}
};

} // namespace reframer::nf::block
