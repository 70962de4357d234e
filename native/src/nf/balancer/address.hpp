// Addresses of IPv4 and IPv6 as they lie in headers, and who has them.
#pragma once

#include "nf/context.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

namespace reframer::balance {

using nf::load32;

// In a packet or a parameter, which outlives it.
struct Address {
	const uint8_t *bytes;
	bool v6;

	uint32_t size() const { return v6 ? 16 : 4; }
	uint32_t v4() const { return load32(bytes); } // network order
	std::array<uint64_t, 2> words() const
	{
		std::array<uint64_t, 2> w;
		std::memcpy(w.data(), bytes, sizeof(w));
		return w;
	}
	friend bool operator==(const Address &a, const Address &b)
	{
		return a.v6 == b.v6 && std::memcmp(a.bytes, b.bytes, a.size()) == 0;
	}
};

// What a host has, one of each family at most; zeros stand for none. Network order.
struct Addresses {
	uint32_t v4 = 0;
	std::array<uint8_t, 16> v6{};

	static Addresses of(const uint8_t four[4], const uint8_t sixteen[16])
	{
		Addresses a;
		a.v4 = load32(four);
		std::memcpy(a.v6.data(), sixteen, a.v6.size());
		return a;
	}
	bool has_v4() const { return v4 != 0; }
	bool has_v6() const { return v6 != std::array<uint8_t, 16>{}; }
	Address get(bool six) const
	{
		return {six ? v6.data() : reinterpret_cast<const uint8_t *>(&v4), six};
	}
};

// From addresses of one family to ids. Whoever sends packets cannot choose what is in it.
class AddressMap {
public:
	static constexpr uint32_t none = UINT32_MAX;

	// `n`: most addresses.
	explicit AddressMap(uint32_t n)
	{
		const uint32_t places = std::bit_ceil(n * 4 < 16 ? 16 : n * 4); // a quarter full at most
		places_.assign(places, Place());
		shift_ = 64 - static_cast<uint32_t>(std::countr_zero(places));
	}
	void clear() { places_.assign(places_.size(), Place()); }
	void put(Address address, uint32_t id)
	{
		const Words w = words_of(address);
		uint32_t i = place(w);
		while (places_[i].id != none)
			i = next(i);
		places_[i] = {w, id};
	}
	uint32_t find(Address address) const
	{
		const Words w = words_of(address);
		for (uint32_t i = place(w);; i = next(i)) {
			const Place &p = places_[i];
			if (p.id == none || p.words == w)
				return p.id;
		}
	}

private:
	using Words = std::array<uint64_t, 2>;
	struct Place {
		Words words{};
		uint32_t id = none;
	};
	static Words words_of(Address a) { return a.v6 ? a.words() : Words{a.v4(), 0}; }
	uint32_t place(const Words &w) const
	{
		constexpr uint64_t golden = 0x9e3779b97f4a7c15;
		return static_cast<uint32_t>(((w[0] * golden ^ w[1]) * golden) >> shift_);
	}
	uint32_t next(uint32_t i) const { return i + 1 == places_.size() ? 0 : i + 1; }

	std::vector<Place> places_;
	uint32_t shift_;
};

} // namespace reframer::balance
