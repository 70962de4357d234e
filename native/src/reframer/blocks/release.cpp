// Packets out: first what was made ready ahead of time, in that order, then what is due. A group
// that a flow fills later can therefore never leave before one that it filled earlier.
#include "reframer/blocks/block_stage.hpp"

#include <algorithm>

namespace reframer::stage {

void BlockStage::give(Output &out, uint64_t limit, reframer_reason reason)
{
	emit_ready(out);
	while (!out.full()) {
		if (!held_beyond_log()) [[likely]]
			emit_due(out, limit, reason);
		// A group that does not fit is cut: what is left of it is given out first, next time.
		if (out.full() || !pass_gone() || blocks_.deadline(blocks_.rel) > limit)
			break;
		take_out(blocks_.rel, reason);
		emit_ready(out);
	}
	shrink();
}

// Has anybody waited too long for the log of hold times? Who came first did if anybody did.
bool BlockStage::held_beyond_log()
{
	return pass_gone() && hold_of(blocks_.block(blocks_.rel).entry[0].meta, now_) > UINT32_MAX;
}

void BlockStage::add_uncounted(uint64_t *packets, uint32_t nb_buckets, uint64_t &longest) const
{
	for (uint32_t i = 0; i < holds_.nb; i++) {
		longest = std::max<uint64_t>(longest, holds_.ns[i]);
		if (const size_t bucket = hold_bucket(holds_.ns[i]); bucket < nb_buckets)
			packets[bucket]++;
	}
}

void BlockStage::emit_due(Output &out, uint64_t limit, reframer_reason reason)
{
	const Given given =
		kernel_->emit(blocks_, out, now_, limit, reason, last_hash_out_, holds_, hold_histogram_);
	last_hash_out_ = given.last_hash;
	stats_.runs_out += given.changes;
	stats_.packets_out += given.packets;
	stats_.bytes_out += given.bytes;
	stats_.released[reason] += given.groups;
	stats_.hold_max_ns = std::max(stats_.hold_max_ns, given.longest_hold);
	groups_ -= given.groups;
	waiting_ -= given.packets;
	waiting_bytes_ -= given.bytes;
	held_bytes_ -= given.bytes;
}

void BlockStage::emit_ready(Output &out)
{
	while (!ready_.empty() && !out.full()) {
		ReadyGroup &group = ready_.front();
		const uint32_t n = std::min(group.count, out.room - out.nb_packets);
		out.runs[out.nb_runs++] = {out.nb_packets, n, group.hash,
		                           static_cast<uint32_t>(group.reason)};
		stats_.runs_out += group.hash != last_hash_out_;
		last_hash_out_ = group.hash;
		uint64_t bytes = 0;
		for (uint32_t i = 0; i < n; i++) {
			const Entry &entry = ready_.entries[ready_.entry_head++ & ready_.mask];
			out.packets[out.nb_packets++] = entry.packet;
			bytes += length_of(entry.meta);
			count_hold(hold_of(entry.meta, now_), 1);
		}
		stats_.bytes_out += bytes;
		held_bytes_ -= bytes;
		stats_.packets_out += n;
		ready_packets_ -= n;
		group.count -= n;
		if (group.count == 0) {
			ready_.group_head++;
			ready_groups_--;
		}
	}
}

} // namespace reframer::stage
