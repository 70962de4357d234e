// Packets that are not grouped, while the adaptive policy gains nothing by it: they leave with the next
// poll as they came, or the caller keeps them and has them counted.
#include "reframer/stage.hpp"

#include <algorithm>

namespace reframer::stage {

// Past the groups, if there is room. Runs are those that came: equal hashes in a row.
bool Stage::push_straight(const reframer_burst &burst, uint32_t count)
{
	if (straight_head_ == straight_tail_)
		straight_head_ = straight_tail_ = 0;
	if (count > nb_straight - straight_tail_ || nb_straight_held() + count > max_packets_)
		return false;
	const uint32_t *lengths = burst.wire ? burst.wire : burst.captured;
	Straight *const to = straight_ + straight_tail_;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < count && lengths; i++)
		bytes += lengths[i];
	if (held_bytes_ + bytes > max_bytes_)
		return false;
	if (!burst.hash)
		for (uint32_t i = 0; i < count; i++)
			prefetch_header(burst.data[i]);
	for (uint32_t i = 0; i < count; i++) {
		to[i] = {burst.packets[i], now_, lengths ? lengths[i] : 0, burst.hash ? burst.hash[i] : 0};
	}
	if (!burst.hash)
		for_key(key_, [&]<packet::KeyKind kind>() {
			uint32_t unparsed = 0;
			for (uint32_t i = 0; i < count; i++) {
				const packet::Digest digest =
					packet::classify<false>(burst.data[i], burst.captured[i], link_, kind, seed_);
				to[i].hash = digest.hash;
				if (digest.traits & packet::trait_fragment) [[unlikely]]
					to[i].hash = straight_hash(burst.data[i], burst.captured[i]);
				unparsed += digest.traits & packet::trait_unparsed;
			}
			stats_.unparsed += unparsed;
		});
	uint64_t last = last_hash_in_;
	for (uint32_t i = 0; i < count; i++) {
		stats_.runs_in += to[i].hash != last;
		last = to[i].hash;
	}
	last_hash_in_ = last;
	straight_tail_ += count;
	held_bytes_ += bytes;
	stats_.bytes_in += bytes;
	stats_.packets_in += count;
	stats_.passed += count;
	stats_.packets_held_max = std::max(stats_.packets_held_max, nb_straight_held());
	return true;
}

// Nothing waits while packets pass straight, but flows must be known when that ends.
uint32_t Stage::straight_hash(const uint8_t *data, uint32_t captured)
{
	const packet::Fragment fragment = packet::read_fragment(data, captured, link_, key_, seed_);
	packet::Datagram &datagram =
		fragment_flows_.find(fragment, now_, [](const packet::Datagram &) {});
	packet::FragmentFlows::note(datagram, fragment);
	return datagram.flow_known ? datagram.flow_hash : fragment.own_hash;
}

void Stage::emit_straight(Output &out)
{
	uint64_t bytes = 0, groups = 0, last = last_hash_out_;
	const uint32_t first = straight_head_;
	const uint32_t end = first + std::min(nb_straight_held(), out.room - out.nb_packets);
	uint32_t at = first;
	while (at < end && out.nb_runs < out.run_room) {
		const uint32_t hash = straight_[at].hash, run = out.nb_packets;
		const uint64_t hold = now_ - straight_[at].arrival;
		do {
			out.packets[out.nb_packets++] = straight_[at].packet;
			bytes += straight_[at].wire;
			at++;
		} while (at < end && straight_[at].hash == hash && now_ - straight_[at].arrival == hold);
		out.runs[out.nb_runs++] = {run, out.nb_packets - run, hash, REFRAMER_BY_DEADLINE};
		count_hold(hold, out.nb_packets - run);
		stats_.runs_out += hash != last;
		last = hash;
		groups++;
	}
	last_hash_out_ = last;
	straight_head_ = at;
	stats_.bytes_out += bytes;
	stats_.packets_out += at - first;
	held_bytes_ -= bytes;
	stats_.released[REFRAMER_BY_DEADLINE] += groups;
}

// The caller keeps the burst, see passes(): counted as if it had been pushed and polled.
void Stage::pass(const Passed &burst, uint64_t caller_now)
{
	const uint64_t now = advance_clock(caller_now);
	if (const uint32_t count = burst.packets) {
		stats_.runs_in += burst.changes + (burst.first != last_hash_in_);
		stats_.runs_out += burst.changes + (burst.first != last_hash_out_);
		last_hash_in_ = last_hash_out_ = burst.last;
		stats_.packets_in += count;
		stats_.packets_out += count;
		stats_.passed += count;
		stats_.bytes_in += burst.bytes;
		stats_.bytes_out += burst.bytes;
		stats_.released[REFRAMER_BY_DEADLINE] += burst.changes + 1;
		count_hold(0, count);
	}
	end_poll(now);
}

} // namespace reframer::stage
