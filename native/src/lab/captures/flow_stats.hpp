// Locality of a stream of frames, and what Reframer would make of it, in one pass.
#pragma once

#include "lab/captures/flow_table.hpp"
#include "lab/captures/pace.hpp"
#include "packet/flow_key.hpp"
#include "packet/fragment_table.hpp"
#include "packet/parse.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace reframer::lab {

inline constexpr std::array<uint64_t, nb_delays> gain_delays_ns = {16'000, 64'000, 128'000};
// Gbit/s; 0 is the capture's own timing.
inline constexpr std::array<uint64_t, nb_rates> gain_rates_gbps = {0, 10, 40, 100};

inline constexpr std::array<uint64_t, 4> reuse_distances = {1, 4, 16, 64};

enum Protocol {
	proto_tcp,
	proto_udp,
	proto_quic,
	proto_icmp,
	proto_other,
	proto_not_ip,
	nb_protocols
};

// Flows that are told apart at the same time: 2 GiB of entries. Beyond that all flows are forgotten
// and found anew: runs, reuse and gain lose one packet in 16 M, flow counts become estimates.
inline constexpr size_t max_flows_default = 1 << 24;

class FlowStats {
public:
	// `flows`: of another capture, whose memory is used again.
	explicit FlowStats(size_t max_flows = max_flows_default, FlowTable &&flows = FlowTable());
	FlowTable take_flows() && { return std::move(flows_); }

	// `fcs_bytes` are those that the frames' lengths include.
	void add(std::span<const packet::Frame> frames, uint32_t fcs_bytes);
	// After the last frame: figures are whole only then.
	void finish();

	uint64_t packets() const { return packets_; }
	uint64_t bytes() const { return bytes_; }
	uint64_t unparsed() const { return protocols_[proto_not_ip]; }
	uint64_t without_length() const { return without_length_; }
	uint64_t time_backwards() const { return clock_.backwards(); }
	uint64_t duration_ns() const { return packets_ ? latest_ns_ - earliest_ns_ : 0; }
	bool has_time() const { return latest_ns_ > earliest_ns_; }
	uint64_t flows() const;
	uint64_t flows_bidirectional() const;
	bool flows_exact() const { return forgotten_ == 0; }
	double slf() const { return ratio(packets_, runs_); }
	double reuse(size_t i) const { return packets_ ? 1.0 * reused_[i] / packets_ : 0; }
	double protocol_share(Protocol p) const
	{
		return packets_ ? 1.0 * protocols_[p] / packets_ : 0;
	}
	// SLF that Reframer gives: packets over runs of its output, holding every group exactly T.
	double slf_after(size_t rate, size_t delay) const
	{
		return ratio(packets_, cell_runs_[rate * nb_delays + delay]);
	}
	// Frame length below which the share q of the packets lies (nearest rank).
	uint32_t size_quantile(double q) const;
	// Frames of `low` to `high` bytes.
	uint64_t nb_sizes(uint32_t low, uint32_t high) const;

private:
	static constexpr size_t burst = 32;           // lookups in flight
	static constexpr uint32_t max_size = 1 << 18; // longer frames count as this long in `sizes`

	struct Item {
		uint64_t hash;
		uint32_t entry;
		bool is_flow;
	};

	// A frame whose bytes are gone. A fragment that comes before its first keeps back itself and all
	// behind it until the first has come, for counts go by the order of packets.
	struct Seen {
		packet::FragmentTable::Flow flow;
		uint64_t time_ns;
		uint64_t wire_bits;
		uint32_t length;
		bool without_length;
	};
	// Packets that wait at most; a fragment whose first is further away has a flow without ports.
	static constexpr size_t max_waiting = 1 << 16;

	void count_seen(bool all);
	void add_burst(const Seen *seen, size_t count);
	uint32_t add_flow(uint64_t hash, const packet::FlowKey &key);
	void count_frame(const Seen &seen);
	void count_flow(FlowEntry &entry, uint32_t index);
	void count_cells(FlowEntry &entry, uint32_t index);
	void count_unparsed_cells(uint32_t index);

	static double ratio(uint64_t packets, uint64_t runs)
	{
		return runs ? static_cast<double>(packets) / static_cast<double>(runs) : 0;
	}

	size_t max_flows_;
	FlowTable flows_;
	packet::FragmentTable fragments_;
	std::vector<Seen> waiting_;
	size_t done_ = 0; // of them
	DistinctCounter distinct_, distinct_bidirectional_;
	uint64_t bidirectional_ = 0;
	uint64_t forgotten_ = 0;

	uint64_t packets_ = 0, bytes_ = 0, without_length_ = 0;
	uint64_t runs_ = 0;
	std::array<uint64_t, reuse_distances.size()> reused_{};
	std::array<uint64_t, nb_protocols> protocols_{};
	std::vector<uint64_t> sizes_; // by length, up to the longest that came
	uint32_t last_flow_ = FlowTable::none;

	ForwardClock clock_;
	uint64_t first_ns_ = 0, earliest_ns_ = UINT64_MAX, latest_ns_ = 0;
	uint64_t wire_bits_ = 0;

	// Reframer, twelve times: now, T, runs given out, and the group that was opened last. Groups
	// leave in the order in which they were opened, so two of one flow merge into one run exactly
	// when no other group was opened in between.
	alignas(64) std::array<uint64_t, nb_cells> now_{};
	alignas(64) std::array<uint64_t, nb_cells> delay_{};
	alignas(64) std::array<uint64_t, nb_cells> cell_runs_{};
	alignas(64) std::array<uint64_t, nb_cells> opened_{};

	// What cannot be parsed shares one group, in arrival order (as in the engine).
	FlowEntry unparsed_group_{};
	uint32_t last_unparsed_flow_ = FlowTable::none;
	static constexpr uint64_t unparsed_group = FlowTable::none - 1;
};

} // namespace reframer::lab
