// Is a recorded history of one key's operations one that a table could have given in some order?
// (Wing and Gong's search, with memory of what was tried. Keys are independent, so histories are
// checked key by key.)
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace reframer::test {

struct Operation {
	enum Kind : uint8_t { find, store, find_or_insert, remove };
	Kind kind;
	uint64_t argument; // value that is stored
	// What the call said. find: whether there, and the value; store: whether it was new;
	// find_or_insert: whether it was new, and the value; remove: whether it was there.
	bool flag;
	uint64_t value;
	uint64_t begin, end; // stamps from one clock, begin < end
};

// Operations of a thread follow each other: each begins after the one before has ended.
class HistoryChecker {
public:
	explicit HistoryChecker(std::vector<std::vector<Operation>> threads)
		: threads_(std::move(threads))
	{
	}

	bool linearizable()
	{
		std::vector<uint32_t> next(threads_.size());
		return search(next, 0);
	}

private:
	static constexpr uint64_t absent = 0; // stored values are not 0

	// What the table holds after the operation, if it may come next. False: it may not.
	static bool apply(const Operation &o, uint64_t before, uint64_t &after)
	{
		bool there = before != absent;
		after = before;
		switch (o.kind) {
		case Operation::find:
			return o.flag == there && (!there || o.value == before);
		case Operation::store:
			after = o.argument;
			return o.flag == !there;
		case Operation::find_or_insert:
			after = there ? before : o.argument;
			return o.flag == !there && o.value == after;
		default:
			after = absent;
			return o.flag == there;
		}
	}

	bool search(std::vector<uint32_t> &next, uint64_t value)
	{
		// An operation may come next if none that is still to come had ended before it began.
		uint64_t first_end = UINT64_MAX;
		bool all_done = true;
		for (size_t t = 0; t < threads_.size(); t++)
			if (next[t] < threads_[t].size()) {
				first_end = std::min(first_end, threads_[t][next[t]].end);
				all_done = false;
			}
		if (all_done)
			return true;
		std::vector<uint64_t> memory(next.begin(), next.end());
		memory.push_back(value);
		if (!tried_.insert(std::move(memory)).second)
			return false;
		for (size_t t = 0; t < threads_.size(); t++) {
			if (next[t] == threads_[t].size())
				continue;
			const Operation &o = threads_[t][next[t]];
			uint64_t after;
			if (o.begin > first_end || !apply(o, value, after))
				continue;
			next[t]++;
			bool found = search(next, after);
			next[t]--;
			if (found)
				return true;
		}
		return false;
	}

	std::vector<std::vector<Operation>> threads_;
	std::set<std::vector<uint64_t>> tried_;
};

} // namespace reframer::test
