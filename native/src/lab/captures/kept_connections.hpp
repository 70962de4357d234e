// Connections as they are kept: ten million of them in little memory, which does not move.
#pragma once

#include "base/pages.hpp"
#include "conntrack/tcp_connection.hpp"

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace reframer::lab {

// Both ends of a packet or of a connection, the first packet's source first.
struct Ends {
	uint8_t source[16], destination[16];    // IPv4 as ::ffff:a.b.c.d
	uint16_t source_port, destination_port; // host order
	uint8_t protocol, version;
};

// A connection as rows show it.
struct Connection : Ends {
	uint64_t packets[2], bytes[2]; // by direction
	uint64_t first_ns, last_ns;    // as the capture has them
	conntrack::TcpState state;
};

// Elements that stay where they are, in memory that the kernel gives as they come.
template <typename T> class Chunks {
	static_assert(std::is_trivially_copyable_v<T>);

public:
	T &operator[](size_t i) { return at(i); }
	const T &operator[](size_t i) const { return at(i); }
	size_t size() const { return size_; }
	// @return its index
	size_t add(const T &element)
	{
		if (size_ == chunks_.size() * a_chunk && !chunks_.emplace_back().map(a_chunk * sizeof(T)))
			throw std::bad_alloc();
		new (&at(size_)) T(element);
		return size_++;
	}

private:
	// Elements: some megabytes, for which huge pages can be had.
	static constexpr size_t a_chunk = 1 << 18;

	T &at(size_t i) const
	{
		return reinterpret_cast<T *>(chunks_[i / a_chunk].data())[i % a_chunk];
	}

	std::vector<base::Pages> chunks_;
	size_t size_ = 0;
};

// What TCP needs beyond that, from the second segment on.
struct TcpPart {
	conntrack::TcpConnection tcp{conntrack::TcpSegment{}}; // means something where `followed`
	// Number of each side's SYN, even where that was lost.
	uint32_t syn_sequence[2] = {};
};

class KeptConnections {
public:
	struct Kept {
		static constexpr uint8_t ipv6 = 1, turned = 2, tcp_ended = 4, followed = 8,
								 one_segment = 16;
		static constexpr uint32_t no_tcp = UINT32_MAX;

		uint64_t first_ns, last_ns;
		// Of IPv4 as the packet has them; of IPv6 the number of the pair of addresses, and 0.
		uint32_t source, destination;
		// Low halves; see wraps_.
		uint32_t packets[2], bytes[2];
		uint16_t source_port, destination_port;
		uint32_t tcp; // of segments_ or of parts_
		uint8_t protocol;
		conntrack::TcpState state;
		// turned: the segment that began the connection came from `destination`; the others see above
		// and below
		uint8_t flags;
		uint8_t syn_known; // bit a direction

		bool has(uint8_t flag) const { return flags & flag; }
		void set(uint8_t flag, bool value = true)
		{
			flags = static_cast<uint8_t>(value ? flags | flag : flags & ~flag);
		}
	};
	static_assert(sizeof(Kept) == 56);

	// @return its index
	uint32_t begin(const Ends &ends, uint64_t first_ns);
	// Swaps its ends.
	void turn(uint32_t index);
	Connection connection(uint32_t index) const;
	Kept &operator[](uint32_t index) { return kept_[index]; }
	const Kept &operator[](uint32_t index) const { return kept_[index]; }
	uint32_t size() const { return static_cast<uint32_t>(kept_.size()); }
	void prefetch(uint64_t index) const
	{
		if (index < kept_.size())
			__builtin_prefetch(&kept_[index], 1);
	}

	uint64_t packets(uint32_t index, bool reply) const;
	uint64_t bytes(uint32_t index, bool reply) const;
	void add(uint32_t index, bool reply, uint32_t packets, uint32_t bytes);
	void take_back(uint32_t index, bool reply, uint32_t packets, uint32_t bytes);
	// Does the packet go against the connection's first one?
	bool is_reply(uint32_t index, const Ends &packet) const;

	// Most connections of a scan or a flood have one segment only: it alone is kept, for all else
	// follows from it.
	void keep_segment(uint32_t index, const conntrack::TcpSegment &segment);
	// Of one that begins with two.
	void keep_part(uint32_t index, const TcpPart &part);
	// Of a connection with a segment or a part; makes the one into the other.
	TcpPart &part(uint32_t index);

	// What a segment says about the numbers of both sides' SYNs.
	static void note_sequences(Kept &c, TcpPart &part, const conntrack::TcpSegment &segment,
	                           bool reply);

private:
	struct Pair {
		uint8_t source[16], destination[16];
	};
	// How often the low halves went past 2^32: in captures of hundreds of gigabytes.
	struct Wraps {
		uint32_t packets[2] = {}, bytes[2] = {};
	};

	Wraps wraps_of(uint32_t index) const;

	Chunks<Kept> kept_;
	Chunks<Pair> pairs_;
	Chunks<conntrack::TcpSegment> segments_;
	std::vector<uint32_t> free_segments_;
	Chunks<TcpPart> parts_;
	std::unordered_map<uint32_t, Wraps> wraps_; // by index
};

} // namespace reframer::lab
