// Holding where nothing but the hash decides. In packet order: push.cpp (in, headers), kernel.cpp
// (group, ring, out), release.cpp, rare.cpp (one packet at a time, early release), ring.cpp (room).
#pragma once

#include "reframer/blocks/blocks.hpp"
#include "reframer/blocks/ready.hpp"
#include "reframer/stage.hpp"

#include <cstdint>

namespace reframer::stage {

class BlockStage final : public Stage {
public:
	uint32_t release_bucket(uint32_t mask, uint32_t value) override;

protected:
	int init(const reframer_params &params) override;
	void hold(const reframer_burst &burst, uint32_t total) override;
	void make_all_ready(reframer_reason reason) override;
	void read_all_headers() override;
	void give(Output &out, uint64_t limit, reframer_reason reason) override;
	void lower_deadlines(uint64_t delay_ns) override;
	uint64_t earliest_deadline() const override;
	uint32_t nb_free() const override { return 2 * max_packets_ - nb_held(); }
	void before_poll(uint64_t now) override;
	void add_uncounted(uint64_t *packets, uint32_t nb_buckets, uint64_t &longest) const override;
	void forget_uncounted() override { holds_.nb = 0; }

private:
	// push.cpp
	void take_hashed(const reframer_burst &burst, uint32_t first, uint32_t count);
	void take_unread(const reframer_burst &burst, uint32_t first, uint32_t count);
	void fetch_headers(uint32_t until);
	void read_headers(uint32_t until);
	uint64_t place(const Batch &batch);
	void relieve();

	// fragments.cpp
	void place_with_fragments(const Batch &batch, uint32_t first, uint32_t fragments);
	packet::Datagram &datagram_of(const packet::Fragment &fragment);
	bool waits(const packet::Datagram &datagram);
	void place_orphan(const Batch &one, packet::Datagram &datagram);
	void release_orphans(uint32_t head, uint32_t hash);
	void release_flow(uint32_t hash);

	// rare.cpp
	void place_one(const Batch &batch, uint32_t i);
	void begin_group(const Batch &batch, uint32_t i, uint32_t position);
	uint32_t append(const Batch &batch, uint32_t i, uint32_t tail);
	BlockBucket::Way &vacant_way(uint32_t hash);
	void make_way(const BlockBucket &bucket);
	void take_out(uint32_t head, reframer_reason reason);
	bool pass_gone();

	// release.cpp
	void emit_due(Output &out, uint64_t limit, reframer_reason reason);
	void emit_ready(Output &out);
	bool held_beyond_log();

	// ring.cpp
	void make_room(uint32_t nb_blocks);
	void resize(uint32_t nb_slots);
	void resize_table(uint32_t wanted);
	void enter(uint32_t tail);
	void close_gaps();
	void shrink();
	void forget_old();

	Blocks blocks_;
	const Kernel *kernel_ = nullptr;
	Ready ready_;
	uint32_t nb_slots_max_ = 0;
	uint32_t *moved_ = nullptr; // for close_gaps(): where blocks go
	uint32_t nb_buckets_most_ = 0;
	uint32_t swept_ = 0, sweep_next_ = 0, sweep_step_ = 0;
	HoldLog holds_;
	uint32_t quiet_polls_ = 0;

	// Packets whose headers are not read yet, and which of them were asked for. Arrays, as the
	// kernels take them.
	static constexpr uint32_t nb_unread = 256;
	static_assert(nb_unread >= max_lookahead + chunk);
	struct {
		void *packet[nb_unread];
		const uint8_t *data[nb_unread];
		uint64_t arrival[nb_unread];
		uint32_t captured[nb_unread], length[nb_unread];
	} unread_ = {};
	uint32_t unread_head_ = 0, unread_fetched_ = 0, unread_tail_ = 0;
	uint32_t lookahead_ = 0;
	packet::Fragment fragment_[batch_packets] = {};
	Arena arena_;
};

} // namespace reframer::stage
