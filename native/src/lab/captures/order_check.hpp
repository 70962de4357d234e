// Did every flow leave in the order in which it came? Knows nothing of how packets were held.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace reframer::lab {

// Numbers the packets of each flow that has packets inside; a flow that has none is forgotten,
// since what comes later cannot be overtaken by what has left. So memory follows what is held.
class OrderCheck {
public:
	struct Ticket {
		uint32_t flow;
		uint32_t number;
	};

	explicit OrderCheck(size_t expected_inside) : buckets_(size_for(expected_inside), none) {}

	void prefetch(uint64_t hash) const
	{
		__builtin_prefetch(&buckets_[hash & (buckets_.size() - 1)]);
	}

	// `hash`: 64 bits that stand for the flow.
	Ticket enter(uint64_t hash)
	{
		uint32_t &head = buckets_[hash & (buckets_.size() - 1)];
		uint32_t at = head;
		while (at != none && flows_[at].hash != hash)
			at = flows_[at].next;
		if (at == none) {
			at = take();
			flows_[at] = {hash, head, 0, 0, false};
			head = at;
		}
		return {at, flows_[at].entered++};
	}

	void leave(Ticket ticket)
	{
		Flow &flow = flows_[ticket.flow];
		if (ticket.number != flow.left && !flow.reordered) [[unlikely]] {
			flow.reordered = true;
			nb_reordered_++;
		}
		if (++flow.left == flow.entered)
			remove(ticket.flow);
	}

	// Flows, each once as long as it had packets inside without a break.
	uint64_t nb_reordered() const { return nb_reordered_; }

private:
	struct Flow {
		uint64_t hash;
		uint32_t next;
		uint32_t entered, left;
		bool reordered;
	};
	static constexpr uint32_t none = UINT32_MAX;

	static size_t size_for(size_t expected)
	{
		size_t size = 1024;
		while (size < 2 * expected)
			size *= 2;
		return size;
	}

	uint32_t take()
	{
		if (free_.empty()) {
			flows_.emplace_back();
			return static_cast<uint32_t>(flows_.size() - 1);
		}
		const uint32_t at = free_.back();
		free_.pop_back();
		return at;
	}

	void remove(uint32_t index)
	{
		uint32_t *link = &buckets_[flows_[index].hash & (buckets_.size() - 1)];
		while (*link != index)
			link = &flows_[*link].next;
		*link = flows_[index].next;
		free_.push_back(index);
	}

	std::vector<uint32_t> buckets_;
	std::vector<Flow> flows_;
	std::vector<uint32_t> free_;
	uint64_t nb_reordered_ = 0;
};

} // namespace reframer::lab
