// Keys that an attacker would send to tables whose hash has no secret. CRC-32C is linear: the keys
// whose two CRCs (crc_hash(), crc_hash_reverse()) are those of a given key are that key plus the
// kernel of a 64-row matrix over GF(2), 2^64 keys or more.
#pragma once

#include "conntrack/contenders/key_words.hpp"

#include <random>
#include <vector>

namespace reframer::conntrack {

template <unsigned Size> class HostileKeys {
	using Key = KeyWords<Size>;
	static constexpr unsigned nb_bits = Size * 8;

public:
	explicit HostileKeys(uint64_t seed) : random_(seed)
	{
		// Column by column Gauss: row i is the key that has only bit i, and its two CRCs.
		struct Row {
			Key key{};
			uint64_t crcs;
		};
		std::vector<Row> rows(nb_bits);
		const uint64_t zero = crcs(Key{});
		for (unsigned i = 0; i < nb_bits; i++) {
			rows[i].key.word[i / 64] = uint64_t{1} << i % 64;
			rows[i].crcs = crcs(rows[i].key) ^ zero;
		}
		for (unsigned bit = 0; bit < 64; bit++) {
			size_t pivot = 0;
			while (pivot < rows.size() && !(rows[pivot].crcs >> bit & 1))
				pivot++;
			if (pivot == rows.size())
				continue;
			Row with = rows[pivot];
			rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(pivot));
			for (Row &r : rows)
				if (r.crcs >> bit & 1) {
					add(r.key, with.key);
					r.crcs ^= with.crcs;
				}
		}
		for (const Row &r : rows)
			kernel_.push_back(r.key);
		for (uint64_t &w : base_.word)
			w = random_();
	}

	// Another key with the same two CRCs; one in 2^64 comes twice.
	Key next()
	{
		Key key = base_;
		for (const Key &k : kernel_)
			if (random_() & 1)
				add(key, k);
		return key;
	}

private:
	static void add(Key &to, const Key &key)
	{
		for (unsigned i = 0; i < Size / 8; i++)
			to.word[i] ^= key.word[i];
	}
	static uint64_t crcs(const Key &key)
	{
		return uint64_t{crc_hash(key)} << 32 | crc_hash_reverse(key, reverse_seed);
	}

	std::mt19937_64 random_;
	std::vector<Key> kernel_;
	Key base_;
};

} // namespace reframer::conntrack
