// What a server's timestamps tell of its clock: how far it is, and whether all clients see the same.
//
// Linux adds a secret offset for each pair of hosts (net.ipv4.tcp_timestamps = 1), newer kernels may
// count microseconds. Then the upper bits of an echo cannot be known from the last timestamp that
// the server sent to somebody else.
#pragma once

#include <bit>
#include <cstdint>

namespace reframer::balance {

class ServerClock {
public:
	enum class Kind : uint8_t { unproven, uniform, differing };

	// Offsets are 32 bits wide: two that agree this closely by chance are one in 2^21. A second of the
	// usual clock is far above what packets are apart that overtake one another on the way here.
	static constexpr uint32_t slack = 1024; // ticks
	// Clients that must agree, by the bits of a hash: a few may share their offset's host pair.
	static constexpr int agreeing_clients = 4;
	// After timestamps that disagreed: a server that was restarted goes on without state in a minute.
	static constexpr uint64_t quarantine_ns = 60'000'000'000;

	explicit ServerClock(Kind kind = Kind::unproven, bool fixed = false)
		: kind_(kind), fixed_(fixed)
	{
	}

	bool known() const { return known_; }
	uint32_t latest() const { return latest_; }
	Kind kind() const { return kind_; }

	// A timestamp on its way to a client.
	void observe(uint32_t clock, uint32_t client_hash, uint64_t now_ns)
	{
		if (!known_) [[unlikely]] {
			known_ = true;
			latest_ = clock;
			anchor(clock, now_ns);
			return;
		}
		const auto ahead_of_latest = static_cast<int32_t>(clock - latest_);
		if (ahead_of_latest > 0)
			latest_ = clock;
		if (fixed_) {
			// Nothing is to be found out, but a server that was restarted counts from the start: by the
			// clock before, all its clients would get echoes back that it never sent.
			if (kind_ == Kind::uniform && ahead_of_latest < -static_cast<int64_t>(slack))
				[[unlikely]]
				latest_ = clock;
			return;
		}
		// A tick a millisecond and an eighth more, as clocks of cheap machines are wrong. Since an anchor
		// and not since the last one, or a faster clock would pass on a busy server.
		const auto ahead = static_cast<int32_t>(clock - anchor_clock_);
		const uint64_t elapsed =
			now_ns > anchor_ns_ ? (now_ns - anchor_ns_) >> 20 : 0; // of 2^20 ns
		const bool fits = ahead >= -static_cast<int64_t>(slack) &&
		                  ahead <= static_cast<int64_t>(elapsed + elapsed / 8 + slack);
		if (fits) [[likely]] {
			if (elapsed > anchor_ticks && ahead > 0)
				anchor(clock, now_ns);
			if (kind_ != Kind::uniform) [[unlikely]]
				prove(client_hash, now_ns);
			return;
		}
		clients_ = 0;
		disagreed_ns_ = now_ns;
		kind_ = Kind::differing;
		latest_ = clock;
		anchor(clock, now_ns);
	}

private:
	static constexpr uint64_t anchor_ticks = 1024; // of 2^20 ns

	void anchor(uint32_t clock, uint64_t now_ns)
	{
		anchor_clock_ = clock;
		anchor_ns_ = now_ns;
	}
	void prove(uint32_t client_hash, uint64_t now_ns)
	{
		clients_ |= uint64_t{1} << (client_hash & 63);
		if (std::popcount(clients_) >= agreeing_clients &&
		    (kind_ == Kind::unproven || now_ns - disagreed_ns_ >= quarantine_ns))
			kind_ = Kind::uniform;
	}

	uint64_t anchor_ns_ = 0, disagreed_ns_ = 0;
	uint64_t clients_ = 0; // a bit a client that agreed
	uint32_t latest_ = 0, anchor_clock_ = 0;
	Kind kind_;
	bool fixed_; // told, not found out
	bool known_ = false;
};
static_assert(sizeof(ServerClock) == 40);

} // namespace reframer::balance
